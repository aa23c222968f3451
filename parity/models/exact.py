"""JAX in float64: what a model makes by itself is float64, too.

A model may write `dtype=jnp.float32` out, as layers do that take a softmax or a variance in it on purpose, or divide a
counter of 32 bits, as Optax's schedules do. In the float64 tier float32 stands for the precision of the run, or "same
mathematics?" could not be asked of such a model.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax._src import dtypes, literals

FLOAT32 = np.dtype(np.float32)
HOOK = "_maybe_canonicalize_explicit_dtype"  # what JAX asks about every dtype that is written out
INEXACT = "_dtype_to_inexact"  # what it makes of whole numbers: count / steps is float32 for an int32, in x64 too
_traces = jax.make_user_context(default_value=False)  # programs that are traced within are kept apart from others


@contextmanager
def exact() -> Iterator[None]:
    """Computes in float64 within the block, where float32 is written out, too."""
    _KeptApart.install()
    with jax.enable_x64(True), _traces(True), _written_out(), _of_whole_numbers():
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


@contextmanager
def _of_whole_numbers() -> Iterator[None]:
    stock = getattr(dtypes, INEXACT, None)
    if stock is None:  # another version of JAX: quotients of 32-bit whole numbers are judged as they stand
        yield
        return
    setattr(dtypes, INEXACT, {dtype: np.dtype(np.float64) if to == FLOAT32 else to for dtype, to in stock.items()})
    try:
        yield
    finally:
        setattr(dtypes, INEXACT, stock)


class _KeptApart:
    """What JAX makes of a NumPy array in a program, one of each precision.

    Its own cache knows the array alone, and hands a program of float64 what an earlier one of float32 was given, which
    XLA refuses.
    """

    _installed = False

    def __init__(self) -> None:
        self._known: dict[tuple, tuple[weakref.ref, weakref.ref]] = {}

    @classmethod
    def install(cls) -> None:
        """Takes the place of JAX's own, once and for all: it cannot be put back."""
        register = getattr(dtypes, "register_canonicalize_value_handler", None)
        if register and not cls._installed:
            register(np.ndarray, cls())
        cls._installed = True

    def __call__(self, array: np.ndarray) -> np.ndarray:
        dtype = dtypes.canonicalize_dtype(array.dtype)
        key = id(array), dtype
        value = self._known[key][1]() if key in self._known else None
        if value is None:
            value = literals.TypedNdArray(np.asarray(array, dtype))
            forget = lambda _: self._known.pop(key, None)  # noqa: E731
            self._known[key] = weakref.ref(array, forget), weakref.ref(value)
        return value
