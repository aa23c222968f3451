"""Why two tensors differ, from their numbers alone."""

from collections.abc import Callable, Iterator

import numpy as np

from parity.blame.diagnosis import order, places, values
from parity.blame.diagnosis.cause import NOISE, Cause, agree, choose, distance
from parity.blame.diagnosis.order import Explanation
from parity.blame.diagnosis.precision import leak

# The simplest first: among hypotheses that explain equally well, the first is taken.
HYPOTHESES: list[Callable[[np.ndarray, np.ndarray], Iterator[Explanation]]] = [
    *places.FIRST,
    *values.HYPOTHESES,
    *order.HYPOTHESES,
    *places.HYPOTHESES,
    *values.CHANNELS,
    *values.LAST,
    *order.LAST,
    *places.LAST,
]


def explain_tensor(oracle: np.ndarray, flax: np.ndarray, noise: float = NOISE, drops: bool = True) -> Cause | None:
    """Finds what turns PyTorch's tensor into Flax's, if anything simple does.

    oracle, flax: float64 in PyTorch's layout; shapes may differ
    noise: the relative difference that rounding alone makes
    drops: whether anything drops out there: where nothing does, a factor as dropout has it is a factor and no more

    Returns None where they agree within 100 times the noise, and where nothing explains the difference.
    """
    oracle = np.asarray(oracle, np.float64)
    flax = np.asarray(flax, np.float64)
    if not oracle.size or not flax.size or agree([oracle], [flax], noise):
        return None
    cause = choose([oracle], [flax], _candidates(oracle, flax, drops), noise)
    return cause or leak(oracle, flax, distance([oracle], [flax], [oracle]))


def _candidates(oracle: np.ndarray, flax: np.ndarray, drops: bool) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    finite = bool(np.isfinite(oracle).all() and np.isfinite(flax).all())
    for hypothesis in HYPOTHESES if finite else places.FIRST:
        with np.errstate(all="ignore"):
            for name, text, explained in hypothesis(oracle, flax):
                if name == "dropout-scale" and not drops:
                    name, text = "scale", text.partition(":")[0]
                yield name, text, [explained]
