"""The map settled by the step itself, where names and shapes leave a choice."""

from collections.abc import Callable, Container
from itertools import islice

import numpy as np

from d2l_jax.weights.leaf import Leaf
from parity.arrays.key import Key, Record
from parity.training_step.by_name import alternatives
from parity.training_step.judged import equalised, torch_taken
from parity.training_step.pair import StepPair, in_tier
from parity.training_step.torch_memory import rounded

TRIALS = 40
CLEAR = 0.9  # of a correct map the updates point the same way, whatever else is wrong
ROUNDING = 1e-7  # of the largest update: no more moves a bias before a batch's norm
FAIR = 0.5  # which no map reaches where the gradients themselves are wrong: then the likeliest stays


def settled(paired: Callable[[list[Leaf]], StepPair], leaves: list[Leaf], told: Container[str]) -> StepPair:
    """Returns the pair with the map under which JAX's first updates point where PyTorch's do.

    paired: gives the pair of a map
    leaves: the likeliest map
    told:   keys of PyTorch's whose places the user has named
    """
    first = pair = paired(leaves)
    oracle = torch_taken(pair, 1, rounded(pair.torch.original), "float64")[1]
    likeness = _likeness(pair, oracle)
    for _ in leaves:
        if likeness > CLEAR:
            break
        others = list(islice(alternatives(pair.jax.state, pair.leaves, pair.torch.model, told), TRIALS))
        scores = [_likeness(paired(other), oracle) for other in others]
        if not scores or max(scores) <= likeness + 1e-6:
            break
        likeness = max(scores)
        pair = paired(others[int(np.argmax(scores))])
    return pair if likeness > FAIR else first


def _likeness(pair: StepPair, oracle: Record) -> float:
    """Returns the mean cosine of the angles between both sides' first updates."""
    pair.torch.put(rounded(pair.torch.original), "float64")
    before = equalised(pair, pair.begun(), "float64")
    try:
        with in_tier("float64"):
            after, returned = pair.jax_taken(1, before, "float64")
            flax = pair.jax_record(1, before, after, returned, set(), "float64")
    except Exception:  # of this map the step does not run
        return -2.0
    records = [[record[Key(1, "update", leaf.name)].ravel() for leaf in pair.trained] for record in (flax, oracle)]
    moves = zip(*map(without_rounding, records), strict=True)
    cosines = [_cosine(ours, theirs) for ours, theirs in moves if ours.any() or theirs.any()]
    return float(np.mean(cosines)) if cosines else 1.0


def without_rounding(updates: list[np.ndarray]) -> list[np.ndarray]:
    """Returns the updates with zeros for those that are mere rounding, which points anywhere."""
    least = ROUNDING * max((_size(update) for update in updates), default=0.0)
    return [update if _size(update) > least else np.zeros_like(update) for update in updates]


def _size(array: np.ndarray) -> float:
    return float(np.abs(array).max(initial=0.0))


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other) / (float(np.linalg.norm(one) * np.linalg.norm(other)) or 1.0)
