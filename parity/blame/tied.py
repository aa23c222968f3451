"""Tensors that one side shares between layers, and the other does not."""

from parity.blame.diagnosis import Cause
from parity.twin.twin import Twin


def explain_ties(twin: Twin) -> Cause | None:
    """Returns which tensor one side shares between layers, and the other does not."""
    shared: dict[int, list[str]] = {}
    for name, parameter in twin.torch.model.named_parameters(remove_duplicate=False):
        shared.setdefault(id(parameter), []).append(name)
    paths = {leaf.key: leaf.path for leaf in twin.leaves if leaf.rows is None and not leaf.merged}
    for names in shared.values():
        if len({paths[name] for name in names if name in paths}) > 1:
            return Cause("weight-tying", f"{' and '.join(names)} are one tensor in PyTorch, several in Flax", 0.0)
    keys: dict[tuple, list[str]] = {}
    for key, path in paths.items():
        keys.setdefault(path, []).append(key)
    for names in keys.values():
        if sum(any(name in group for name in names) for group in shared.values()) > 1:
            return Cause("weight-tying", f"{' and '.join(names)} are one tensor in Flax, several in PyTorch", 0.0)
    return None
