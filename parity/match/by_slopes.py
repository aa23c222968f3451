"""A map that slopes tell, where shapes and names do not: Flax's arrays hold PyTorch's tensors between them."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import jax
import numpy as np

from d2l_jax.weights.leaf import Leaf, flatten
from parity.match.apart import inputs_given, owner
from parity.match.draws import AnswersOfPyTorch
from parity.match.exchanged import Steepness, exchanged
from parity.match.flax_layers import Variable
from parity.match.nearest import Sloped, nearest_cuts
from parity.match.of_numbers import OfFlax
from parity.match.search import Search
from parity.match.slopes import Different, Disordered, Unasked
from parity.match.torch_layers import arrays_of
from parity.match.weaver import Weaver
from parity.models.answering import answering
from parity.models.calls import Path
from parity.models.cutting import Cuts
from parity.models.exact import exact
from parity.models.flax_model import FlaxModel


class BySlopes:
    """Asks slopes about one Flax model.

    Raises Unasked where it has none, or runs by itself alone.
    """

    def __init__(self, search: Search, flax: FlaxModel):
        self.search, self.flax = search, flax
        outputs = [x.shape for x in arrays_of(search.recorded.output) if np.issubdtype(x.dtype, np.floating)]
        with self._exact():
            try:
                self.ours = OfFlax(search, flax, outputs)
            except Exception as error:
                raise Unasked from error

    def map(self, leaves: Sequence[Leaf], sure: Collection[str]) -> tuple[FlaxModel, list[Leaf]]:
        """Returns the model and a map under which both compute the same.

        leaves: what may be each other's
        sure:   PyTorch's tensors of which that is certain
        Raises Different where there is no such map, Disordered where one is in no order in which numbers are kept,
        Unasked where that is not known.
        """
        whole = self._whole(leaves)
        buffers = [leaf for leaf in whole if not leaf.trained]
        tried, reason = [], Different()
        with self._exact():
            for known in (whole, [leaf for leaf in whole if leaf.key in sure or not leaf.trained], buffers):
                if known not in tried:
                    tried.append(known)
                    try:
                        with asked():
                            return Weaver(self.search, self.flax, known).map(self.ours)
                    except Different as error:
                        reason = error if isinstance(error, Disordered) else reason
        raise reason

    def cuts(self, leaves: Sequence[Leaf]) -> Cuts:
        """Returns how arrays are cut that hold several tensors, where no map makes the two one: the nearest.

        leaves: what may be each other's
        """
        ours, theirs = self._steepness(self._whole(leaves))
        held, modules = dict(flatten(self.flax.params)), dict(self.search.torch_model.named_modules())
        variables = {
            p: (Variable(p[-1:], p, True, tuple(held[p].shape), held[p].dtype), Sloped(x)) for p, x in ours.items()
        }
        return nearest_cuts(variables, {key: Sloped(x, modules.get(owner(key))) for key, x in theirs.items()})

    def exchanged(self, leaves: list[Leaf], sure: Collection[str]) -> list[Leaf]:
        """Returns the map of models that differ, with layers of one form exchanged where slopes are far nearer so.

        sure: PyTorch's tensors whose layers are given what their partners are given; several may be given the same
        """
        given = inputs_given(self.search.recorded)
        among = {leaf.key: given.get(leaf.key, leaf.key) if leaf.key in sure else None for leaf in leaves}
        alike = Counter((among[leaf.key], leaf.shape, leaf.stored) for leaf in leaves)
        lone = {leaf.key for leaf in leaves if alike[among[leaf.key], leaf.shape, leaf.stored] == 1}
        known = [leaf for leaf in self._whole(leaves) if not leaf.trained or leaf.key in lone]
        try:
            return exchanged(leaves, among, *self._steepness(known))
        except (Different, Unasked):
            return leaves

    def _steepness(self, known: Sequence[Leaf]) -> tuple[dict[Path, Steepness], dict[str, Steepness]]:
        with self._exact(), asked():
            return Weaver(self.search, self.flax, known).steepness(self.ours)

    def _whole(self, leaves: Sequence[Leaf]) -> list[Leaf]:
        """Returns those that are an array of Flax's and a tensor of PyTorch's, or parts of one that are all there."""
        held = {path for tree in (self.flax.params, self.flax.buffers) for path, _ in flatten(tree)}
        arrays = [leaf for leaf in leaves if not leaf.merged and leaf.path in held]
        sizes: Counter[str] = Counter()
        for leaf in arrays:
            sizes[leaf.key] += math.prod(leaf.stored)
        return [
            leaf for leaf in arrays if not leaf.rows or sizes[leaf.key] == self.search.recorded.arrays[leaf.key].size
        ]

    @contextmanager
    def _exact(self) -> Iterator[None]:
        drawn = answering(AnswersOfPyTorch(self.search.recorded.drawn))
        with exact(), jax.default_matmul_precision("highest"), drawn:
            yield


@contextmanager
def asked() -> Iterator[None]:
    """Raises Unasked where models do not run with these numbers."""
    try:
        yield
    except (Different, Unasked):
        raise
    except Exception as error:
        raise Unasked from error
