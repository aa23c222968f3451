"""The embedded tabular data: scikit-learn's diabetes study."""

import numpy as np

from d2l_jax.data.dataset import Dataset

NUM_TRAIN = 353  # four fifths of 442


def diabetes() -> Dataset:
    """Loads a study of 442 diabetes patients: 10 features, and the disease a year later; 353 to train on, 89 to test.

    Features and target are standardised with the mean and the sample deviation of the training examples.
    The split is always the same. No file outside scikit-learn is read.

    Returns:
      X float32 (N, 10), y float32 (N, 1).
    """
    from sklearn.datasets import load_diabetes

    X, y = map(np.asarray, load_diabetes(return_X_y=True, scaled=False))
    order = np.random.default_rng(0).permutation(len(X))
    X = _standardised(X[order])
    y = _standardised(y[order, None])
    train = slice(None, NUM_TRAIN)
    test = slice(NUM_TRAIN, None)
    source = "embedded default (scikit-learn diabetes, standardised)"
    return Dataset("diabetes", (X[train], y[train]), (X[test], y[test]), source)


def _standardised(columns: np.ndarray) -> np.ndarray:
    known = columns[:NUM_TRAIN]
    return ((columns - known.mean(0)) / known.std(0, ddof=1)).astype(np.float32)
