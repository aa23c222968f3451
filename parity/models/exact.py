"""JAX in float64: what a model makes by itself is float64, too.

A model may write `dtype=jnp.float32` out, as layers do that take a softmax or a variance in it on purpose. In the
float64 tier float32 stands for the precision of the run, or "same mathematics?" could not be asked of such a model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax._src import dtypes

FLOAT32 = np.dtype(np.float32)
HOOK = "_maybe_canonicalize_explicit_dtype"  # what JAX asks about every dtype that is written out
_traces = jax.make_user_context(default_value=False)  # programs that are traced within are kept apart from others


@contextmanager
def exact() -> Iterator[None]:
    """Computes in float64 within the block, where float32 is written out, too."""
    with jax.enable_x64(True), _traces(True), _written_out():
        yield


@contextmanager
def _written_out() -> Iterator[None]:
    stock = getattr(dtypes, HOOK, None)
    if stock is None:  # another version of JAX: a model that writes float32 out is judged as it stands
        yield
        return

    def hook(dtype: Any, *args: Any, **kwargs: Any) -> Any:
        canonical = stock(dtype, *args, **kwargs)
        return np.dtype(np.float64) if canonical == FLOAT32 else canonical

    setattr(dtypes, HOOK, hook)
    try:
        yield
    finally:
        setattr(dtypes, HOOK, stock)
