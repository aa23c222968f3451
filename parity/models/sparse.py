"""PyTorch's sparse tensors: those that a model keeps by the numbers they hold, a call's as dense ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from parity.models.copies import copy_of
from parity.models.own_class import give_own_class

if TYPE_CHECKING:  # Flax's side can be recorded where PyTorch is missing
    import torch

    Rebuild = Callable[[torch.Tensor], torch.Tensor]


class Sparse(NamedTuple):
    """A sparse argument of a call, as the dense tensor that Flax has in its place."""

    values: torch.Tensor
    layout: torch.layout

    def again(self) -> torch.Tensor:
        """Returns it as PyTorch has it."""
        return self.values.to_sparse(layout=self.layout)


def is_sparse(value: Any) -> TypeGuard[torch.Tensor]:
    """Tells whether a value is a sparse tensor, of any layout."""
    import torch

    return isinstance(value, torch.Tensor) and value.layout != torch.strided


def sparse_layout(value: Any) -> torch.layout | None:
    """Returns the layout that a sparse matrix has in PyTorch, its own, JAX's (BCOO) or SciPy's; None of a dense one."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.layout if is_sparse(value) else None
    return torch.sparse_coo if hasattr(value, "todense") else None


def with_zeros(value: Any) -> Any:
    """Returns a sparse matrix of any of the three as a dense one."""
    return value.todense() if hasattr(value, "todense") else value.to_dense()


def dense(tensor: torch.Tensor) -> Sparse:
    """Returns a sparse tensor's numbers as constants: where it holds none, Flax's array may well take a gradient."""
    return Sparse(tensor.detach().to_dense(), tensor.layout)


def with_numbers(model: torch.nn.Module) -> torch.nn.Module:
    """Returns a copy in which each sparse buffer or attribute `x` is made of the buffer `x_numbers` when it is read.

    As buffers that are not saved they are constants of the model, which Flax may hold in any form. A model without
    sparse tensors is returned as it is.
    """
    tensors = [tensor for module in model.modules() for *_, tensor in _held(module)]
    if not tensors:
        return model
    model = copy_of(model, kept=tensors)  # not even all of them can be copied
    for module in model.modules():
        made: dict[str, Any] = {}
        for where, name, tensor in list(_held(module)):
            del where[name]
            made[name] = _made_of(f"{name}_numbers")
            module.register_buffer(f"{name}_numbers", None, persistent=False)
            made[name].fset(module, tensor.detach())
        if made:
            give_own_class(module, **made)
    return model


def _held(module: torch.nn.Module) -> Iterator[tuple[dict[str, Any], str, torch.Tensor]]:
    """Yields (where it stands, name, tensor) of a module's own sparse ones."""
    places: tuple[dict[str, Any], ...] = (module._buffers, vars(module))
    for where in places:
        yield from ((where, name, value) for name, value in where.items() if is_sparse(value))


def _made_of(name: str) -> Any:
    """Returns a property that is made of the numbers in the buffer `name`, and puts those there where it is set."""

    def read(module: torch.nn.Module) -> Any:
        return vars(module)[f"{name}_again"](module._buffers[name])

    def put(module: torch.nn.Module, value: Any) -> None:
        numbers, again = _apart(value) if is_sparse(value) else (value, lambda numbers: numbers)
        module._buffers[name] = numbers
        vars(module)[f"{name}_again"] = again

    return property(read, put)


def _apart(tensor: torch.Tensor) -> tuple[torch.Tensor, Rebuild]:
    """Returns the numbers of a sparse tensor, and what makes the tensor of them."""
    import torch

    if tensor.layout == torch.sparse_coo:
        tensor = tensor.coalesce()
        indices = tensor.indices()

        def rebuilt(numbers: torch.Tensor) -> torch.Tensor:
            return torch.sparse_coo_tensor(
                indices.to(numbers.device), numbers, tensor.shape, is_coalesced=True, check_invariants=False
            )
    else:
        by_rows = tensor.layout in (torch.sparse_csr, torch.sparse_bsr)
        outer, inner = (
            (tensor.crow_indices(), tensor.col_indices()) if by_rows else (tensor.ccol_indices(), tensor.row_indices())
        )

        def rebuilt(numbers: torch.Tensor) -> torch.Tensor:
            at = outer.to(numbers.device), inner.to(numbers.device)
            return torch.sparse_compressed_tensor(
                *at, numbers, tensor.shape, layout=tensor.layout, check_invariants=False
            )

    return tensor.values().clone(), rebuilt
