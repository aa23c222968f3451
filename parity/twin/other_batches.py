"""Further batches of the kind of a user's own: rows in another order and a little mixed, within the numbers' range."""

import numpy as np

Arrays = tuple[np.ndarray, ...]
MOST = 0.5  # share of another row


def is_whole(array: np.ndarray) -> bool:
    """Tells whether floating-point numbers are whole ones alone: a mask, labels, counts, and no measured quantity."""
    return bool(np.issubdtype(array.dtype, np.floating) and np.all(array == np.round(array)))


def is_mask(array: np.ndarray) -> bool:
    """Tells whether numbers are 0 and 1 alone; others may be larger, as counts."""
    return bool(np.all((array == 0) | (array == 1)))


def another(arrays: Arrays, random: np.random.Generator) -> Arrays:
    """Draws a batch of the same kind: what are probabilities, bounded or positive in the user's batch, remain so."""
    orders = {rows: random.permutation(rows) for rows in dict.fromkeys(len(x) for x in arrays if x.ndim)}
    return tuple(_mixed(x[orders[len(x)]] if x.ndim else x, random) for x in arrays)


def _mixed(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns every row with a share of the next one; of a single one, numbers disturbed by a tenth."""
    if not np.issubdtype(x.dtype, np.floating) or is_whole(x):
        return x
    if x.ndim and len(x) > 1:
        shares = random.uniform(0.1, MOST, size=(len(x), *[1] * (x.ndim - 1)))
        return (x + shares * (np.roll(x, 1, 0).astype(np.float64) - x)).astype(np.float32)
    disturbed = x + 0.1 * np.std(x) * random.normal(size=x.shape)
    return np.clip(disturbed, x.min(), x.max()).astype(np.float32) if x.size > 1 else x
