"""One bias in Flax where PyTorch adds two, as its recurrent layers do: the same function, which learns otherwise."""

from collections.abc import Collection

from parity.arrays.key import Key
from parity.blame.diagnosis import Cause
from parity.result import Blame
from parity.twin.twin import Twin


def of_two_biases(twin: Twin, wrong: Collection[Key]) -> Blame | None:
    """Blames one bias in Flax where PyTorch adds two: all that differs is how far they move."""
    sums = {leaf.name: leaf for leaf in twin.leaves if leaf.merged}
    moves = [key for key in wrong if key.phase in ("update", "optimizer")]
    if not sums or not moves or any(key.tensor not in sums for key in moves):
        return None
    names = list(dict.fromkeys(leaf.key.rpartition(".")[0] for leaf in sums.values()))
    first = sums[min(moves, key=str).tensor]
    layer = first.key.rpartition(".")[0]
    biases = " and ".join(key.rpartition(".")[2] for key in (first.key, *first.merged))
    text = (
        f"Flax has one bias where PyTorch adds two, {biases}: the same outputs and gradients, but each of the two"
        " takes the step, so that their sum moves twice as far"
    )
    if len(names) > 1:
        text += f"; likewise in {', '.join(name for name in names if name != layer)}"
    kind = type(twin.torch.model.get_submodule(layer)).__name__
    return Blame.because(Cause("biases-merged", text, 0.0), layer, "optimizer", f"{layer} ({kind}), training")
