"""K-fold cross-validation, cut as section 5.7 of the book cuts it."""

from dataclasses import replace

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.errors import InputError


def k_fold(n: int, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Numbers of the examples in the k training sets and the k validation sets of cross-validation.

    Fold i validates on the n // k contiguous examples from i * (n // k) on and trains on all others; the
    n % k examples at the end are in every training set and in no validation set.

    Returns:
      k pairs (train, validation) of int32 example numbers, (n - n // k,) and (n // k,).

    Raises:
      InputError: k is below 2 or above n.
    """
    if not 2 <= k <= n:
        raise InputError(f"cannot cut {n} examples into {k} folds; give a k from 2 to {n}")
    examples = np.arange(n, dtype=np.int32)
    parts = [slice(i * (n // k), (i + 1) * (n // k)) for i in range(k)]
    return [(np.delete(examples, part), examples[part]) for part in parts]


def fold(data: Dataset, k: int, i: int) -> Dataset:
    """The data set `data` with fold i of k of its training examples as the test split; the old test split is dropped.

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
