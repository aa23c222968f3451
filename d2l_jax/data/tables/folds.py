"""K-fold cross-validation, cut as section 5.7 of the book cuts it."""

from dataclasses import replace

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.errors import InputError


def k_fold(n: int, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows of the k training sets and of the k validation sets.

    Fold i validates on the n // k contiguous rows from i * (n // k) on and trains on all others; the
    n % k rows at the end are in every training set and in no validation set.

    Returns:
      k pairs (train, validation) of int32 row numbers.

    Raises:
      InputError: k is below 2 or above n.
    """
    if not 2 <= k <= n:
        raise InputError(f"cannot cut {n} examples into {k} folds; give a k from 2 to {n}")
    rows = np.arange(n, dtype=np.int32)
    parts = [slice(i * (n // k), (i + 1) * (n // k)) for i in range(k)]
    return [(np.delete(rows, part), rows[part]) for part in parts]


def fold(data: Dataset, k: int, i: int) -> Dataset:
    """`data` with fold i of k of its training rows as the test split (the old test split is dropped).

    Raises:
      InputError: as `k_fold`, or i is not from 0 to k - 1.
    """
    X, y = data.train
    folds = k_fold(len(X), k)
    if not 0 <= i < k:
        raise InputError(f"there is no fold {i} of {k}; give one from 0 to {k - 1}")
    train, test = folds[i]
    source = f"{data.source}, fold {i} of {k}"
    return replace(data, train=(X[train], y[train]), test=(X[test], y[test]), source=source)
