"""Two models that do not hold the same weights: which tensor, and what the one is of the other."""

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from parity.arrays.key import Arrays
from parity.blame.diagnosis.cause import Cause
from parity.compare.rows import Row
from parity.result import Blame

HALVES = {"float16": 10, "bfloat16": 7}  # digits of the mantissa


def blame_weights(rows: Sequence[Row], theirs: Arrays, ours: Arrays) -> Blame | None:
    """Names the tensors that differ; None where none does."""
    wrong = [row.key.tensor for row in rows if row.key.phase == "weights" and not row.passed]
    if not wrong:
        return None
    texts = [f"{name}: {_text(_cause(theirs[name], ours[name]))}" for name in wrong[:3]]
    more = f"; and {len(wrong) - 3} more tensors" if len(wrong) > 3 else ""
    cause = _cause(theirs[wrong[0]], ours[wrong[0]])
    counted = f"{len(wrong)} of {sum(row.key.phase == 'weights' for row in rows)} tensors differ"
    text = f"the weights that the models hold: {counted}: {'; '.join(texts)}{more}"
    return Blame(wrong[0].rpartition(".")[0], "weights", cause.name if cause else "", text)


def _text(cause: Cause | None) -> str:
    return cause.text if cause else "other numbers in Flax than in PyTorch"


def _cause(theirs: np.ndarray, ours: np.ndarray) -> Cause | None:
    with np.errstate(all="ignore"):
        return next(
            (Cause(name, text, 0.0) for name, text, array in _hypotheses(theirs, ours) if _same(array, ours)), None
        )


def _same(array: np.ndarray, ours: np.ndarray) -> bool:
    return array.shape == ours.shape and bool(np.array_equal(array, ours))


def _hypotheses(theirs: np.ndarray, ours: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yields (name, text, what PyTorch's tensor would be); axes are PyTorch's."""
    orders = list(permutations(range(theirs.ndim)))[1:] if theirs.ndim <= 4 else []
    for order in orders:
        how = "transposed" if theirs.ndim == 2 else f"with its axes in the order {order}"
        yield "transposed", f"Flax holds PyTorch's values {how}", theirs.transpose(order)
    for axis in range(theirs.ndim):
        yield "reversed", f"Flax holds PyTorch's values reversed along axis {axis}", np.flip(theirs, axis)
    if theirs.ndim > 2:
        yield "reversed", "Flax holds PyTorch's kernel turned round", np.flip(theirs, tuple(range(2, theirs.ndim)))
    for dtype, digits in HALVES.items():
        yield f"rounded-to-{dtype}", f"Flax's values are PyTorch's rounded to {dtype}", _rounded(theirs, digits)
    for value in (0.0, 1.0):
        yield "constant", f"Flax's values are all {value:g}", np.full_like(theirs, value)
    yield (
        "reshaped",
        "Flax holds PyTorch's values in another order: reshaped where a transposition is right",
        (np.reshape(theirs, theirs.shape[::-1]).transpose() if theirs.ndim > 1 else -theirs),
    )
    if theirs.shape == ours.shape and np.array_equal(np.sort(theirs, None), np.sort(ours, None)):
        yield "permuted", "Flax holds PyTorch's values in another order", ours


def _rounded(array: np.ndarray, digits: int) -> np.ndarray:
    mantissa, exponent = np.frexp(array)
    return np.ldexp(np.round(mantissa * 2 ** (digits + 1)) / 2 ** (digits + 1), exponent).astype(array.dtype)
