"""PyTorch's packed sequences as padded ones with their lengths, sparse tensors as dense ones: what Flax is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from parity.models.sparse import Sparse, dense, is_sparse

if TYPE_CHECKING:  # Flax's side can be recorded where PyTorch is missing
    import torch


class Packed(NamedTuple):
    """A packed sequence.

    values:  padded, in the order of the batch; with the user's own padding where that is known
    lengths: None of a result, whose lengths are those of the arguments
    """

    values: torch.Tensor
    lengths: torch.Tensor | None
    batch_first: bool


_sources: list[dict[int, tuple[Any, torch.Tensor, bool]]] = []


@contextmanager
def sources() -> Iterator[None]:
    """Remembers within the block what sequences were packed from: Flax sees the padding, too."""
    import torch

    known: dict[int, tuple[Any, torch.Tensor, bool]] = {}
    stock = torch._VF._pack_padded_sequence

    def pack(values: torch.Tensor, lengths: torch.Tensor, batch_first: bool) -> Any:
        data, sizes = stock(values, lengths, batch_first)
        known[id(data)] = data, values.detach().clone(), batch_first
        return data, sizes

    torch._VF._pack_padded_sequence = pack
    _sources.append(known)
    try:
        yield
    finally:
        _sources.remove(known)
        if _sources:
            torch._VF._pack_padded_sequence = stock
        else:
            del torch._VF._pack_padded_sequence


def padded(tree: Any, like: Packed | None = None) -> Any:
    """Returns nested containers with `Packed` in the place of packed sequences, `Sparse` in that of sparse tensors.

    like: of results, the argument
    """
    from torch.nn.utils.rnn import PackedSequence

    if isinstance(tree, PackedSequence):
        return _padded(tree, like)
    if is_sparse(tree):
        return dense(tree)
    if isinstance(tree, dict):
        return type(tree)((key, padded(value, like)) for key, value in tree.items()) if _holds(tree) else tree
    if type(tree) in (tuple, list):
        return type(tree)(padded(value, like) for value in tree)
    return tree


def _holds(tree: dict) -> bool:
    return any("PackedSequence" in type(value).__name__ or is_sparse(value) for value in tree.values())


def _padded(packed: Any, like: Packed | None) -> Packed:
    from torch.nn.utils.rnn import pad_packed_sequence

    if like is not None:
        total = like.values.shape[1 if like.batch_first else 0]
        values, _ = pad_packed_sequence(packed, batch_first=like.batch_first, total_length=total)
        if _sources:
            _sources[-1][id(packed.data)] = packed.data, _sorted(values, packed, like.batch_first), like.batch_first
        return Packed(values, None, like.batch_first)
    data, values, batch_first = (
        _sources[-1].get(id(packed.data), (None, None, True)) if _sources else (None, None, True)
    )
    plain, lengths = pad_packed_sequence(packed, batch_first=True)
    if data is not packed.data or values is None:
        return Packed(plain, lengths, True)
    if packed.unsorted_indices is not None:
        values = values.index_select(0 if batch_first else 1, packed.unsorted_indices)
    return Packed(values, lengths, batch_first)


def _sorted(values: torch.Tensor, packed: Any, batch_first: bool) -> torch.Tensor:
    values = values.detach()
    if packed.sorted_indices is None:
        return values
    return values.index_select(0 if batch_first else 1, packed.sorted_indices)


def packed_results(tree: Any, name: str, like: Packed | None) -> Iterator[tuple[str, torch.Tensor, Any]]:
    """Yields (name of the padded values, data, a function that pads what belongs to the data) of packed results."""
    from torch.nn.utils.rnn import PackedSequence

    if isinstance(tree, PackedSequence):

        def spread(data: torch.Tensor) -> torch.Tensor:
            return _padded(PackedSequence(data, *tree[1:]), like).values

        yield f"{name}.values", tree.data, spread
    elif type(tree) in (tuple, list):
        for number, value in enumerate(tree):
            yield from packed_results(value, f"{name}.{number}", like)


def packed_again(tree: Any) -> Any:
    """Returns the reverse of `padded`."""
    from torch.nn.utils.rnn import pack_padded_sequence

    if isinstance(tree, Packed):
        assert tree.lengths is not None
        return pack_padded_sequence(tree.values, tree.lengths.cpu(), tree.batch_first, enforce_sorted=False)
    if isinstance(tree, Sparse):
        return tree.again()
    if isinstance(tree, dict):
        return {key: packed_again(value) for key, value in tree.items()}
    if type(tree) in (tuple, list):
        return type(tree)(map(packed_again, tree))
    return tree


def first_packed(tree: Any) -> Packed | None:
    """Returns the first of the packed arguments, whose lengths count."""
    if isinstance(tree, Packed):
        return tree
    values = tree.values() if isinstance(tree, dict) else tree if type(tree) in (tuple, list) else ()
    return next((packed for value in values if (packed := first_packed(value))), None)


def valid_positions(sequence: Packed) -> Any:
    """Returns an array of numpy's that is true before each sequence's end, in the layout of the values."""
    import numpy as np

    assert sequence.lengths is not None
    steps = sequence.values.shape[1 if sequence.batch_first else 0]
    valid = np.arange(steps) < sequence.lengths.cpu().numpy()[:, None]
    return (valid if sequence.batch_first else valid.T)[..., None]
