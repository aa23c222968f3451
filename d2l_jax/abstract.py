"""A model with shapes in the place of its arrays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
from flax import nnx


def abstract(build: Callable[[], nnx.Module]) -> nnx.Module:
    """Returns the model that `build()` returns; no weight is allocated, and random keys are shapes too."""
    with _counted_without_a_search():
        return nnx.eval_shape(build)


@contextmanager
def _counted_without_a_search() -> Iterator[None]:
    """Draws as Flax does, but writes the count with `set_value`.

    Flax's `count[...] += 1` makes JAX search all that was traced before, once for each weight that is drawn: ten
    times as long for 400 layers (findings/flax-variable-assignment-walks-the-trace.sh).
    """
    flaxs = nnx.RngStream.__call__

    def draw(stream: nnx.RngStream) -> jax.Array:
        key = jax.random.fold_in(stream.key[...], stream.count[...])
        stream.count.set_value(stream.count[...] + 1)
        return key

    nnx.RngStream.__call__ = draw  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        nnx.RngStream.__call__ = flaxs
