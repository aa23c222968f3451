"""What is said beside the result of a user's own pair: how it was compared, and what was not."""

from collections.abc import Iterator, Sequence

from parity.models.complex_parts import InParts
from parity.models.cut import Cut
from parity.models.evaluation import stays
from parity.models.woven import Woven
from parity.twin.learning import Learning
from parity.twin.merged_biases import note_of
from parity.twin.optional_outputs import left_out
from parity.twin.twin import Twin

SHOWN = 3


def notes_of(twin: Twin, learning: Learning) -> tuple[str, ...]:
    """Returns a line about each of these, where there is something to say."""
    about = _complex_of, _cut_of, _mode_of, _alone_of, _reordered_of
    return (*note_of(twin, learning), *(line for each in about for line in each(twin)))


def some(names: Sequence[str]) -> str:
    """Returns the first names, and how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _complex_of(twin: Twin) -> Iterator[str]:
    """Yields a line about complex parameters."""
    model = twin.flax.model
    if isinstance(model, InParts):
        yield (
            f"{', '.join(model.names)}: complex, compared by real and imaginary parts; JAX's own gradient of them is"
            " the conjugate of PyTorch's, so that Optax needs jnp.conj of it"
        )


def _mode_of(twin: Twin) -> Iterator[str]:
    """Yields a line about two models that were handed over in evaluation mode."""
    if stays(twin.torch.model):
        yield (
            "both models were handed over in evaluation mode and stay in it in every step: what training alone does,"
            " dropout and the statistics of batches, was not compared; PyTorch's model after train() has both train"
        )


def _alone_of(twin: Twin) -> Iterator[str]:
    """Yields a line about outputs that PyTorch's model may leave out, and Flax's does."""
    if names := left_out(twin.torch.model):
        yield f"{', '.join(names)}: optional outputs, which PyTorch's model alone returns here, were not compared"


def _reordered_of(twin: Twin) -> Iterator[str]:
    """Yields a line about tensors whose numbers in another order make the two models one."""
    if twin.reordered:
        yield (
            f"slopes say that both models compute the same once the numbers of {some(twin.reordered)} stand in another"
            " order, as rotary halves for pairs, or channels that are flattened first and not last, need it. The map"
            " keeps PyTorch's order, as copied weights do, and in that order the two differ"
        )


def _cut_of(twin: Twin) -> Iterator[str]:
    """Yields a line about each of Flax's arrays that holds several tensors of PyTorch's."""
    if isinstance(twin.flax.model, Cut):
        for path, cutting in twin.flax.model.cuts.items():
            yield f"{'.'.join(map(str, path))}: compared as {cutting}; where it holds them otherwise, the two differ"
    if isinstance(twin.flax.model, Woven):
        for weave in twin.flax.model.weaves:
            arrays = ", ".join(".".join(map(str, path)) for path in weave.arrays)
            keys = ", ".join(leaf.name for leaf in twin.leaves if leaf.path in weave.tensors)
            yield f"{arrays}: compared as {keys}; which number is which, slopes have told"
