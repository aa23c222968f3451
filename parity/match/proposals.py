"""The nearest that is known of tensors for which no map was found: leaves of them, to be looked at and taken over."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from d2l_jax.weights.leaf import Leaf
from parity.match.flax_layers import Variable
from parity.match.kernels import ways
from parity.match.torch_layers import Recorded
from parity.models.cutting import Cuts

MOST = 8  # leaves that a line names


def proposed(cuts: Cuts, variables: Sequence[Variable], free: Collection[str], recorded: Recorded) -> list[Leaf]:
    """Returns leaves of arrays that may be several tensors, as `cuts` has them, and of what is as large at least.

    variables, free: Flax's and PyTorch's tensors that have no counterpart
    """
    pieces = list(_pieces(cuts, variables, recorded))
    taken = {leaf.key for leaf in pieces}
    left = [key for key in free if key not in taken]
    for variable in (v for v in variables if v.path not in cuts):
        found = [leaf for key in left for leaf in ways(key, recorded.arrays[key].shape, variable, None)[:1]]
        pieces += found[:1]
        left = [key for key in left if key not in {leaf.key for leaf in found[:1]}]
    return pieces


def _pieces(cuts: Cuts, variables: Sequence[Variable], recorded: Recorded) -> Iterator[Leaf]:
    whole = {variable.path: variable for variable in variables}
    modules = {key: layer.module for layer in recorded.layers for key in layer.tensors.values()}
    for path, cutting in cuts.items():
        shape = whole[path].shape
        for place, piece, _ in cutting.places(path):
            width = cutting.blocks * piece.width
            sizes = (*shape[: cutting.axis], width, *shape[cutting.axis + 1 :])
            part = replace(whole[path], path=place, local=place[-1:], shape=sizes)
            yield from ways(piece.key, recorded.arrays[piece.key].shape, part, modules.get(piece.key))[:1]


def in_words(leaves: Sequence[Leaf], nearest: Sequence[Leaf], proven: int, count: int) -> str:
    """Returns what has a counterpart, what others may be, and how both become the map of another check."""
    more = f", and {len(nearest) - MOST} more" if len(nearest) > MOST else ""
    others = "; ".join(map(str, nearest[:MOST])) + more if nearest else "nothing that fits"
    paired = len({key for leaf in leaves for key in leaf.keys})
    return (
        f"{paired} of PyTorch's {count} tensors have a counterpart, {proven} of them by what their layers are given, as"
        f" this error's `leaves` say; its `nearest`, for the others: {others}; weights=[*error.leaves, *error.nearest]"
        " takes them, where they are right, or with leaves of your own in their place"
    )
