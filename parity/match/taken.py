"""Which features of a dense layer's result PyTorch's model takes as a part: by split, chunk, slices, glu, of heads."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from d2l_jax.weights.leaf import Rows, rows_of
from parity.match.hooked import HookedMode

GLU = torch.ops.aten.glu.default


class PartsTaken(HookedMode):
    """Notes the parts of what the dense layers of a model put out, as long as they are views of it; and halves."""

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self._dense = [module for module in model.modules() if _may_be_dense(module)]
        self._taken: dict[int, list[Rows]] = {}

    def hooked(self) -> list[RemovableHandle]:
        return [module.register_forward_hook(self._put_out) for module in self._dense]

    def of(self, module: torch.nn.Module) -> tuple[Rows, ...]:
        """Returns the parts of a layer's features in the order in which they were taken, those of parts too."""
        return tuple(dict.fromkeys(self._taken.get(id(module), ())))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict | None = None) -> Any:
        results = func(*args, **(kwargs or {}))
        views = _halves(*args) if func is GLU else tree_leaves(results)
        for x in views:
            # Sparse ones have no memory of their own.
            strided = isinstance(x, torch.Tensor) and x.layout == torch.strided
            if strided and (found := self.results.get(_memory(x))):
                module, whole = found
                if x.numel() < whole.numel() and (rows := _features(x, whole)):
                    self._taken.setdefault(id(module), []).append(rows)
        return results

    def _put_out(self, module: torch.nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.is_contiguous():
            self.results[_memory(output)] = module, output  # which keeps the memory from being another's


def _may_be_dense(module: torch.nn.Module) -> bool:
    """Tells a stock dense layer, one that looks up rows of a table, or somebody's own module with a matrix."""
    matrices = [x for x in module.parameters(recurse=False) if x.ndim == 2]
    own = bool(matrices) and not type(module).__module__.startswith("torch.")
    return own or isinstance(module, torch.nn.Linear | torch.nn.Embedding)


def _halves(x: torch.Tensor, dim: int = -1) -> Sequence[torch.Tensor]:
    """Returns what a gated linear unit takes apart by itself: the values, and their gate."""
    return x.chunk(2, dim)


def outermost(parts: Sequence[Rows], count: int) -> list[Rows]:
    """Returns the parts that are within no other, in order, where they make up all features, in equal blocks."""
    units = {part: {*rows_of(np.arange(count), part)} for part in parts}
    outer = sorted(part for part, own in units.items() if not any(own < other for other in units.values()))
    all_of_them = sorted(unit for part in outer for unit in units[part]) == list(range(count))
    return outer if all_of_them and len({part[2:] for part in outer}) == 1 else []


def _memory(x: torch.Tensor) -> int:
    return x.untyped_storage().data_ptr()


def _features(part: torch.Tensor, whole: torch.Tensor) -> Rows | None:
    """Returns which of the last axis a part has of each row: neighbours, or the same of every block; else None."""
    count = whole.shape[-1]
    numbers = torch.arange(whole.numel()).as_strided(part.shape, part.stride(), part.storage_offset())
    has = np.zeros(count, bool)
    has[numbers.numpy() % count] = True
    first, end, *more = map(int, np.flatnonzero(np.diff(has, prepend=False, append=False)))
    rows: Rows = (first, end, more[0] - first) if more else (first, end)
    if has.all() or len(rows) == 3 and (count % rows[2] or end > rows[2]):
        return None
    return rows if np.array_equal(rows_of(np.arange(count), rows), np.flatnonzero(has)) else None
