"""The embedded tabular data: scikit-learn's diabetes study."""

import numpy as np

from d2l_jax.data.dataset import Dataset

NUM_TRAIN = 353  # four fifths of 442


def diabetes() -> Dataset:
    """442 patients, 10 features, progression of the disease after a year: 353 to train on, 89 to test on.

    Features and target are standardised with the mean and the sample deviation of the training rows.
    The split is always the same. No file outside scikit-learn is read.
    """
    from sklearn.datasets import load_diabetes

    X, y = map(np.asarray, load_diabetes(return_X_y=True, scaled=False))
    order = np.random.default_rng(0).permutation(len(X))
    X, y = _standardised(X[order]), _standardised(y[order, None])
    train, test = slice(None, NUM_TRAIN), slice(NUM_TRAIN, None)
    source = "embedded default (scikit-learn diabetes, standardised)"
    return Dataset("diabetes", (X[train], y[train]), (X[test], y[test]), source)


def _standardised(columns: np.ndarray) -> np.ndarray:
    known = columns[:NUM_TRAIN]
    return ((columns - known.mean(0)) / known.std(0, ddof=1)).astype(np.float32)
