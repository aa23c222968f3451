"""The embedded image data: scikit-learn's handwritten digits, enlarged to MNIST's size."""

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.images.resize import resize_images

NUM_TRAIN = 1437  # four fifths of 1797


def digits() -> Dataset:
    """Loads 1,797 handwritten digits, enlarged from 8x8 to 28x28 pixels: 1,437 to train on and 360 to test on.

    The split is always the same, and mixed: the file's last fifth was written by other people than
    its first. No file outside scikit-learn is read.

    Returns:
      X uint8 (N, 28, 28, 1), y int32 (N,).
    """
    from sklearn.datasets import load_digits

    X, y = map(np.asarray, load_digits(return_X_y=True))
    X = np.rint(X.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    X = resize_images(X, (28, 28))
    y = y.astype(np.int32)
    order = np.random.default_rng(0).permutation(len(X))
    train = order[:NUM_TRAIN]
    test = order[NUM_TRAIN:]
    source = "embedded default (scikit-learn digits, 28x28)"
    return Dataset("digits", (X[train], y[train]), (X[test], y[test]), source, tuple("0123456789"))
