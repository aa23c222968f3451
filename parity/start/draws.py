"""The numbers of fresh models, drawn several times."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from d2l_jax.functional import Tree
from d2l_jax.weights.leaf import Leaf, export
from parity.arrays.key import Arrays
from parity.start.numpy_program import run
from parity.twin.random_weights import held_weights
from parity.twin.structure import with_real_keys

NUMBERS = 200_000  # of all draws together, about
FEWEST = 4
MOST = 24


class Drawn:
    """A tree of arrays as a function makes it from random numbers: traced once, drawn as often as needed."""

    def __init__(self, make: Callable[[], Any]):
        self._program, self.shapes = jax.make_jaxpr(make, return_shape=True)()

    def draws(self, seeds: int) -> Iterator[Any]:
        """Yields the tree, each time with other numbers; random keys stay shapes."""
        shapes, structure = jax.tree.flatten(self.shapes)
        number = [i for i, shape in enumerate(shapes) if not jnp.issubdtype(shape.dtype, jax.dtypes.prng_key)]
        for seed in range(seeds):
            values = run(self._program, np.random.default_rng(seed), number)
            yield jax.tree.unflatten(structure, [values.get(i, shape) for i, shape in enumerate(shapes)])


class FreshFlax:
    """An NNX module as its maker starts it.

    model: with shapes in place of numbers
    """

    def __init__(self, make: Callable[[], nnx.Module]):
        graphs: list[Any] = []

        def build() -> nnx.State:
            graph, state = nnx.split(make())
            graphs.append(graph)
            return state

        self._drawn = Drawn(build)
        self.model = with_real_keys(nnx.merge(graphs[0], self._drawn.shapes))

    def draws(self, seeds: int) -> Iterator[Tree]:
        """Yields all tensors by path, as often as asked."""
        return map(nnx.to_pure_dict, self._drawn.draws(seeds))


def exported(tensors: list[Leaf], params: Tree, buffers: Tree) -> Arrays:
    """Returns the numbers of Flax's floating-point tensors under PyTorch's names and in its layout."""
    floats = [leaf for leaf in tensors if np.issubdtype(leaf.dtype, np.floating)]
    of_params = export([leaf for leaf in floats if leaf.trained], params)
    return of_params | export([leaf for leaf in floats if not leaf.trained], buffers)


def torch_draws(make: Callable[[], torch.nn.Module], seeds: int) -> Iterator[torch.nn.Module]:
    """Yields fresh models of PyTorch's, each from another seed; the program's own random numbers are left alone."""
    for seed in range(seeds):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # CPU's: a user's maker may be called often
            yield make()


def torch_arrays(model: torch.nn.Module, tensors: list[Leaf]) -> Arrays:
    """Returns the numbers of PyTorch's model by the names of the tensors, those that Flax keeps as one sum added."""
    held = held_weights(model)
    return {leaf.name: np.sum([held[key] for key in leaf.keys], axis=0) for leaf in tensors}


def seeds_for(numbers: int) -> int:
    """Returns how many draws a model of so many numbers gets: small tensors need many, large models are slow."""
    return min(max(NUMBERS // max(numbers, 1), FEWEST), MOST)
