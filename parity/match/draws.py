"""Random numbers in the runs that find the map: any two requests of one kind and shape get the same ones.

Layers of Flax's may be handed what PyTorch's gave, and others are computed several times, so that the order in which
the two draw says nothing.
"""

from collections.abc import Collection

import jax
import numpy as np
from jaxtyping import Float

from parity.models.random_numbers import RandomRequest, Shape, numbers, torch_shape
from parity.models.random_numbers_torch import ImposedOnTorch


class SameForAShape(ImposedOnTorch):
    """Answers PyTorch's requests by their kind and shape alone; `seen` lists them."""

    def answer(self, request: RandomRequest) -> Float[np.ndarray, "..."]:
        """Returns the numbers of that kind and shape."""
        return _numbers(request.shape, request.normal)


class AnswersOfPyTorch:
    """Answers JAX's requests with the numbers that PyTorch got for the same shape, or for that of an image.

    seen: PyTorch's requests
    """

    def __init__(self, seen: Collection[RandomRequest]):
        self.kinds = {(request.shape, request.normal) for request in seen}

    def __call__(self, shape: Shape, normal: bool, uniform: bool = False) -> jax.Array:
        """Returns the numbers in Flax's layout."""
        theirs = torch_shape(shape)
        if (shape, normal) not in self.kinds and (theirs, normal) in self.kinds:
            return jax.numpy.asarray(_numbers(theirs, normal).transpose(0, 2, 3, 1))
        return jax.numpy.asarray(_numbers(shape, normal))


def _numbers(shape: Shape, normal: bool) -> Float[np.ndarray, "..."]:
    (values,) = numbers([RandomRequest(shape, normal)], np.random.default_rng(0), [shape])
    return values
