"""A map that slopes tell, where shapes and names do not: Flax's arrays hold PyTorch's tensors between them."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

import jax
import numpy as np

from d2l_jax.weights.leaf import Leaf, flatten
from parity.match.draws import AnswersOfPyTorch
from parity.match.of_numbers import OfFlax
from parity.match.search import Search
from parity.match.slopes import Different
from parity.match.torch_layers import arrays_of
from parity.match.weaver import Unasked, Weaver
from parity.models.answering import answering
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
        Raises Different where there is no such map, Unasked where that is not known.
        """
        whole = self._whole(leaves)
        buffers = [leaf for leaf in whole if not leaf.trained]
        tried = []
        with self._exact():
            for known in (whole, [leaf for leaf in whole if leaf.key in sure or not leaf.trained], buffers):
                if known not in tried:
                    tried.append(known)
                    with suppress(Different), asked():
                        return Weaver(self.search, self.flax, known).map(self.ours)
        raise Different

    def cuts(self, leaves: Sequence[Leaf]) -> Cuts:
        """Returns how arrays are cut that hold several tensors, where no map makes the two one: the nearest.

        leaves: what may be each other's
        """
        known = self._whole(leaves)
        with self._exact(), asked():
            return Weaver(self.search, self.flax, known).nearest(self.ours)

    def _whole(self, leaves: Sequence[Leaf]) -> list[Leaf]:
        held = {path for tree in (self.flax.params, self.flax.buffers) for path, _ in flatten(tree)}
        return [leaf for leaf in leaves if not leaf.rows and not leaf.merged and leaf.path in held]

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
