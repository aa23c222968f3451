"""Two models that do not hold the same weights: which tensor, and what the one is of the other."""

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from parity.arrays.key import Arrays
from parity.blame.diagnosis.cause import Cause
from parity.blame.diagnosis.precision import bfloat16, float16
from parity.compare.rows import Row
from parity.result import Blame

HALVES = {"float16": float16, "bfloat16": bfloat16}


def blame_weights(rows: Sequence[Row], theirs: Arrays, ours: Arrays) -> Blame | None:
    """Names the tensors that differ, given a row for each; None where none does."""
    wrong = [row.key.tensor for row in rows if not row.passed]
    if not wrong:
        return None
    causes = {name: _cause(theirs[name], ours[name]) for name in wrong[:3]}
    texts = [f"{name}: {_text(cause)}" for name, cause in causes.items()]
    more = f"; and {len(wrong) - 3} more tensors" if len(wrong) > 3 else ""
    text = f"the weights that the models hold: {len(wrong)} of {len(rows)} tensors differ: {'; '.join(texts)}{more}"
    first = causes[wrong[0]]
    return Blame(wrong[0].rpartition(".")[0], "weights", first.name if first else "", text)


def _text(cause: Cause | None) -> str:
    return cause.text if cause else "other numbers in Flax than in PyTorch"


def _cause(theirs: np.ndarray, ours: np.ndarray) -> Cause | None:
    fitting = (each for each in _hypotheses(theirs, ours) if np.array_equal(each[2], ours))
    return next((Cause(name, text, 0.0) for name, text, _ in fitting), None)


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
    for dtype, rounded in HALVES.items():
        yield f"rounded-to-{dtype}", f"Flax's values are PyTorch's rounded to {dtype}", rounded(theirs)
    for value in (0.0, 1.0):
        yield "constant", f"Flax's values are all {value:g}", np.full_like(theirs, value)
    if theirs.ndim > 1:
        how = "in another order: reshaped where a transposition is right"
        yield "reshaped", f"Flax holds PyTorch's values {how}", np.reshape(theirs, theirs.shape[::-1]).transpose()
    if theirs.shape == ours.shape and np.array_equal(np.sort(theirs, None), np.sort(ours, None)):
        yield "permuted", "Flax holds PyTorch's values in another order", ours
