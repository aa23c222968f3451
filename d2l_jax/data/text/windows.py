"""Cutting a long sequence of tokens into windows of equal length (section 9.3 of the book).

Each way of cutting returns the positions at which windows start; `cut` returns the arrays.
"""

import numpy as np

from d2l_jax.errors import InputError


def every_window(n: int, steps: int) -> np.ndarray:
    """The starts of all windows of `steps` tokens and a next token, one at every offset: int32 (n - steps,).

    Raises:
      InputError: `steps` is below 1, or n tokens are too few for one window.
    """
    _need(n, steps, 1)
    return np.arange(n - steps, dtype=np.int32)


def random_windows(n: int, steps: int, *, seed: int, epoch: int) -> np.ndarray:
    """The starts of windows that do not overlap, from a random offset below `steps` on, shuffled: int32 (windows,).

    The result is a pure function of the arguments; each epoch has another offset and another order.

    Raises:
      InputError: as `every_window`, or `seed` or `epoch` is negative.
    """
    _need(n, steps, 1)
    random = _random(seed, epoch)
    offset = random.integers(min(steps, n - steps))
    return random.permutation(np.arange(offset, n - steps, steps, dtype=np.int32))


def sequential_windows(n: int, steps: int, batch_size: int, *, seed: int, epoch: int) -> np.ndarray:
    """The starts of windows in which example j of a batch continues example j of the batch before.

    A recurrent state can so be carried from batch to batch. The sequence, less a random offset below
    `steps`, is cut into `batch_size` parts of equal length.

    Returns:
      int32 (batches, batch_size).

    Raises:
      InputError: as `random_windows`, or `batch_size` is below 1 or above the number of windows.
    """
    if batch_size < 1:
        raise InputError(f"batch size {batch_size} is too small; give 1 or more")
    _need(n, steps, batch_size)
    offset = _random(seed, epoch).integers(min(steps, n - batch_size * steps))
    part = (n - 1 - offset) // batch_size
    batches = np.arange(part // steps)[:, None] * steps
    return (offset + batches + np.arange(batch_size) * part).astype(np.int32)


def cut(ids: np.ndarray, starts: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The windows X and, one token later, their targets y, each of the dtype of `ids`, (*starts.shape, steps)."""
    positions = starts[..., None] + np.arange(steps)
    return ids[positions], ids[positions + 1]


def _need(n: int, steps: int, windows: int) -> None:
    if steps < 1:
        raise InputError(f"windows of {steps} steps are empty; give 1 or more")
    if n <= windows * steps:
        least = windows * steps + 1
        raise InputError(f"{n} tokens are too few: {windows} x {steps} steps and the last target need {least}")


def _random(seed: int, epoch: int) -> np.random.Generator:
    if seed < 0 or epoch < 0:
        raise InputError(f"seed {seed} and epoch {epoch} must both be 0 or more")
    return np.random.default_rng([seed, epoch])
