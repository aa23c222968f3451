"""Random numbers in the runs that find the map: any two requests of one kind and shape get the same ones.

Layers of Flax's may be handed what PyTorch's gave, and others are computed several times, so that the order in which
the two draw says nothing.
"""

from collections.abc import Collection

import jax
import numpy as np
from jaxtyping import Float

from parity.models.random_numbers import RandomRequest, numbers, torch_shape
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.random_shapes import Shape, layouts


class SameForAShape(ImposedOnTorch):
    """Answers PyTorch's requests by their kind and shape alone; `seen` lists them."""

    def answer(self, request: RandomRequest) -> Float[np.ndarray, "..."]:
        """Returns the numbers of that kind and shape."""
        return _numbers(request.shape, request.normal)


class AnswersOfPyTorch:
    """Answers JAX's requests with the numbers that PyTorch got for the same shape, or one of other axes' order.

    seen: PyTorch's requests
    """

    def __init__(self, seen: Collection[RandomRequest]):
        self.kinds = {(request.shape, request.normal) for request in seen}

    def __call__(self, shape: Shape, normal: bool, uniform: bool = False, stock: bool = False) -> jax.Array:
        """Returns the numbers in Flax's layout."""
        alike = (theirs for theirs, kind in self.kinds if kind == normal and any(layouts(shape, theirs)))
        theirs = min(alike, key=lambda other: (other != shape, other != torch_shape(shape), other), default=shape)
        values = _numbers(theirs, normal)
        return jax.numpy.asarray(values if theirs == shape else next(layouts(shape, theirs)).to_flax(values))


def _numbers(shape: Shape, normal: bool) -> Float[np.ndarray, "..."]:
    (values,) = numbers([RandomRequest(shape, normal)], np.random.default_rng(0), [shape])
    return values
