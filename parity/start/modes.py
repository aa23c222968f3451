"""The mode in which a fresh model stands: for training, or for evaluation."""

from collections.abc import Mapping

import torch
from flax import linen, nnx

from parity.arrays.key import Key
from parity.compare.rows import row
from parity.models.evaluation import training_by_attributes, training_by_default
from parity.start.compare import Started


def compare_modes(
    flax: nnx.Module | linen.Module, theirs: torch.nn.Module, names: Mapping[str, tuple]
) -> list[Started]:
    """Returns each module of Flax's that has a mode, beside PyTorch's of the same place, or else the whole model.

    names: {PyTorch's submodule: Flax's path}
    """
    if isinstance(flax, linen.Module):
        training = training_by_default(flax)
        return [] if training is None else [_compared("", training, theirs.training)]
    modules = dict(theirs.named_modules())
    partners = {path: modules[name] for name, path in names.items() if name in modules}
    called = {path: name for name, path in names.items()}
    rows = []
    for path, module in nnx.iter_graph(flax):
        training = training_by_attributes(module) if isinstance(module, nnx.Module) else None
        if training is not None:
            partner = partners.get(path, theirs)
            rows.append(_compared(called.get(path) or ".".join(map(str, path)), training, partner.training))
    return rows


def _compared(name: str, ours: bool, theirs: bool) -> Started:
    flax, pytorch = ("in training mode" if training else "in evaluation mode" for training in (ours, theirs))
    key = Key(1, "start", f"{name}.mode" if name else "mode")
    verdict = row(key, float(ours != theirs), 0.0, "the mode of a fresh model")
    started = Started(key.tensor, flax, pytorch, verdict)
    if started.same:
        return started
    return Started(key.tensor, flax, pytorch, row(key, 1.0, 0.0, str(started), "fail"))
