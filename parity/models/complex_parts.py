"""A Flax model whose complex parameters are two real numbers each, in a last axis: each part has its own gradient.

JAX's gradient of a complex number is the conjugate of PyTorch's; those of its parts are the same on both sides.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.functional import Tree
from d2l_jax.weights.leaf import flatten, unflatten
from parity.models.calls import Around, Path
from parity.models.flax_model import Called, FlaxModel, Part, Tensor


def in_parts(model: FlaxModel) -> FlaxModel:
    """Returns the model with the parts of its complex parameters; as it is where it has none."""
    return InParts(model) if any(map(_complex, jax.tree.leaves(model.params))) else model


class InParts(Called):
    """The model with real parameters alone; as it runs, the parts are put together, in the run's precision."""

    def __init__(self, inner: FlaxModel):
        self.inner = inner
        self.name = inner.name
        self.params = jax.tree.map(_parts, inner.params)
        self.buffers = inner.buffers

    @property
    def names(self) -> list[str]:
        """The parameters that are complex."""
        return [".".join(map(str, path)) for path, x in flatten(self.inner.params) if _complex(x)]

    def run(
        self,
        function: Callable,
        params: Tree,
        buffers: Tree,
        *inputs: Any,
        train: bool,
        around: Around | None = None,
    ) -> tuple[Any, Tree]:
        whole = _whole(params, self.inner.params)
        return self.inner.run(function, whole, buffers, *inputs, train=train, around=around)

    def apart(self, tree: Tree) -> Tree:
        return jax.tree.map(_parts, self.inner.apart(tree))

    def joined(self, tree: Tree) -> Tree:
        return self.inner.joined(tree)  # in parts still: there an optimiser meets the gradient that is PyTorch's

    def in_precision(self, dtype: str) -> "InParts":
        return InParts(self.inner.in_precision(dtype))

    def constants(self) -> set[Path]:
        return self.inner.constants()

    def tensors(self, inputs: tuple) -> Iterator[Tensor]:
        for tensor in self.inner.tensors(inputs):
            if tensor.trained and np.issubdtype(tensor.dtype, np.complexfloating):
                tensor = replace(tensor, shape=(*tensor.shape, 2), dtype=_part_of(tensor.dtype))
            yield tensor

    def modules(self, inputs: tuple) -> list[Path]:
        return self.inner.modules(inputs)

    def part(self, module: Any, path: Path, params: Tree, buffers: Tree, *, train: bool) -> Part:
        part = self.inner.part(module, path, _whole(params, self.inner.params), buffers, train=train)

        def apply(params: Tree, buffers: Tree, args: tuple, kwargs: dict) -> tuple[Any, Tree]:
            return part.apply(_whole(params, part.params), buffers, args, kwargs)

        return replace(part, apply=apply, params=jax.tree.map(_parts, part.params))


def _complex(x: Any) -> bool:
    return np.issubdtype(x.dtype, np.complexfloating)


def _part_of(dtype: Any) -> Any:
    return np.dtype(f"f{np.dtype(dtype).itemsize // 2}")


def _parts(x: Any) -> Any:
    if not _complex(x):
        return x
    if isinstance(x, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct((*x.shape, 2), _part_of(x.dtype))
    return jnp.stack([jnp.real(x), jnp.imag(x)], -1)


def _whole(params: Tree, like: Tree) -> Tree:
    """Returns the parameters, those complex that are in `like`."""
    complex_ones = {path for path, x in flatten(like) if _complex(x)}
    joined = {path: jax.lax.complex(x[..., 0], x[..., 1]) if path in complex_ones else x for path, x in flatten(params)}
    return unflatten(joined)
