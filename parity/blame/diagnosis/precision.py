"""Numbers of too few bits in a float64 run: judged by the bits, or by the plateau of the relative error."""

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import numpy as np

from parity.blame.diagnosis.cause import Cause, rms


def float32(x: np.ndarray) -> np.ndarray:
    """Rounds to float32."""
    with np.errstate(over="ignore"):
        return x.astype(np.float32).astype(np.float64)


def float16(x: np.ndarray) -> np.ndarray:
    """Rounds to float16."""
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float64)


def bfloat16(x: np.ndarray) -> np.ndarray:
    """Rounds to 8 significant bits."""
    return _significant(x, 8)


def tf32(x: np.ndarray) -> np.ndarray:
    """Rounds to 11 significant bits."""
    return _significant(x, 11)


def _significant(x: np.ndarray, bits: int) -> np.ndarray:
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)


# name, what it is, rounding, the root mean square error that it leaves: at least, at most
FORMATS: list[tuple[str, str, Callable[[np.ndarray], np.ndarray], float, float]] = [
    ("bfloat16", "bfloat16 (8 bits)", bfloat16, 3e-4, 3e-2),
    ("float16", "float16 (11 bits)", float16, 3e-5, 5e-3),
    ("tf32", "TF32 (11 bits)", tf32, 3e-5, 5e-3),
    ("float32", "float32 (24 bits)", float32, 2e-9, 1e-5),
]
# The plateaus alone; between them nothing is said.
PLATEAUS = [
    ("float32", "float32", 4e-9, 4e-7),
    ("tf32", "TF32", 5e-5, 6e-4),
    ("bfloat16", "bfloat16", 8e-4, 8e-3),
]


_POSSIBLE: ContextVar[Callable[[str], bool]] = ContextVar("possible formats", default=lambda name: True)


@contextmanager
def formats_of(device: str, held: Callable[[], Container[str]] | None = None) -> Iterator[None]:
    """Leaves out, within the block, the formats that the device does not compute in: TF32 is of GPUs alone.

    held: returns the other formats that Flax's program holds, where these are known
    """
    known = cache(held) if held else None
    token = _POSSIBLE.set(lambda name: device != "cpu" if name == "tf32" else known is None or name in known())
    try:
        yield
    finally:
        _POSSIBLE.reset(token)


def leak(oracle: np.ndarray, flax: np.ndarray, unexplained: float) -> Cause | None:
    """Was something computed in lower precision? Bits first, then the plateau, which must look like noise.

    unexplained: the largest difference relative to the scale, which becomes the residual
    """
    if oracle.shape != flax.shape or flax.size < 3 or not rms(oracle) or not np.isfinite(unexplained):
        return None
    error = rms(flax - oracle) / rms(oracle)
    for name, text, rounded, low, high in FORMATS:
        if low <= error <= high and _only_flax(rounded, oracle, flax) and _POSSIBLE.get()(name):
            return Cause(name, f"every value of Flax is a {text} number; relative error {error:.0e}", unexplained)
    for name, text, low, high in PLATEAUS:
        like = low <= error <= high and unexplained <= 30 * error and _noisy(oracle, flax)
        if like and _POSSIBLE.get()(name):
            return Cause(name, f"the relative error {error:.0e} is like rounding, typical of {text}", unexplained)
    return None


def _only_flax(rounded: Callable[[np.ndarray], np.ndarray], oracle: np.ndarray, flax: np.ndarray) -> bool:
    """Flax's values have few bits and PyTorch's, of the same size, have more."""
    return bool(np.array_equal(rounded(flax), flax) and not np.array_equal(rounded(oracle), oracle))


def _noisy(oracle: np.ndarray, flax: np.ndarray) -> bool:
    """Errors of both signs that follow neither the values nor each other."""
    error = (flax - oracle).ravel()
    if error.size < 12 or np.count_nonzero(error) < 0.5 * error.size:
        return False
    positive = np.mean(error[error != 0] > 0)
    return bool(0.25 < positive < 0.75) and all(abs(_correlation(error, by)) < 0.5 for by in _smooth(oracle.ravel()))


def _smooth(values: np.ndarray) -> list[np.ndarray]:
    """The arrays that a wrong convention would make an error proportional to."""
    return [values, np.abs(values), values**2, values**3]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a = a - a.mean()
    b = b - b.mean()
    power = float(np.sqrt(np.vdot(a, a) * np.vdot(b, b)))
    return float(np.vdot(a, b)) / power if power else 0.0
