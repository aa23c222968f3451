"""Resizing, batch order, folds, and the data that is built in or drawn."""

import numpy as np
import pytest

from d2l_jax.data import (
    batch_order,
    fold,
    k_fold,
    load,
    ohms_law,
    resize_images,
    synthetic_regression,
    weight_decay_data,
)
from d2l_jax.errors import InputError

SIZES = [
    ((28, 28), (96, 96)),
    ((28, 28), (32, 32)),
    ((28, 28), (14, 9)),
    ((8, 8), (28, 28)),
    ((11, 7), (7, 30)),
    ((7, 11), (30, 7)),
]


@pytest.mark.parametrize("before, after", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_equals_torchvision(before: tuple, after: tuple, channels: int):
    transforms = pytest.importorskip("torchvision.transforms", reason="torchvision is not installed")
    from PIL import Image

    X = np.random.default_rng(0).integers(0, 256, (5, *before, channels), np.uint8)
    theirs = transforms.Resize(after)
    images = [Image.fromarray(x[..., 0] if channels == 1 else x) for x in X]
    expected = np.stack([np.asarray(theirs(image)).reshape(*after, channels) for image in images])
    assert np.array_equal(resize_images(X, after), expected)


def test_resize_to_the_same_size_changes_nothing():
    X = np.random.default_rng(0).integers(0, 256, (5, 9, 8, 1), np.uint8)
    assert resize_images(X, (9, 8)) is X


def test_load_resizes_both_splits():
    data = load("digits", resize=(32, 40))
    assert data.train[0].shape == (1437, 32, 40, 1) and data.test[0].shape == (360, 32, 40, 1)
    assert data.train[0].dtype == np.uint8


def test_resize_wants_uint8_images():
    with pytest.raises(InputError, match="images are uint8"):
        resize_images(np.zeros((2, 8, 8, 1), np.float32), (4, 4))


@pytest.mark.parametrize("n, batch", [(10, 3), (10, 10), (10, 1), (1000, 256)])
def test_batch_order_loses_nothing(n: int, batch: int):
    order = batch_order(n, batch, seed=0, epoch=2)
    assert order.full.shape == (n // batch, batch) and order.rest.shape == (n % batch,)
    assert order.full.dtype == order.rest.dtype == np.int32
    rows = np.concatenate([order.full.ravel(), order.rest])
    assert np.array_equal(np.sort(rows), np.arange(n))


def test_batch_order_is_a_function_of_seed_and_epoch():
    rows = {(s, e): batch_order(50, 7, seed=s, epoch=e).full.tobytes() for s in range(3) for e in range(3)}
    assert len(set(rows.values())) == 9
    assert all(batch_order(50, 7, seed=s, epoch=e).full.tobytes() == rows[s, e] for s, e in rows)


def test_batch_order_unshuffled():
    order = batch_order(7, 3, seed=0, epoch=0, shuffle=False)
    assert order.full.tolist() == [[0, 1, 2], [3, 4, 5]] and order.rest.tolist() == [6]


@pytest.mark.parametrize("n, batch_size", [(10, 0), (10, 11), (10, -1), (0, 1)])
def test_batch_size_must_fit(n: int, batch_size: int):
    with pytest.raises(InputError, match="batch size"):
        batch_order(n, batch_size, seed=0, epoch=0)


def test_negative_seed_or_epoch():
    with pytest.raises(InputError, match="0 or more"):
        batch_order(10, 2, seed=0, epoch=-1)


def test_k_fold_as_the_book_cuts():
    folds = k_fold(1460, 5)
    assert [(len(train), len(val)) for train, val in folds] == [(1168, 292)] * 5
    assert folds[1][1].tolist() == list(range(292, 584))
    train, val = k_fold(7, 3)[2]
    assert val.tolist() == [4, 5] and train.tolist() == [0, 1, 2, 3, 6]


@pytest.mark.parametrize("n, k", [(10, 1), (10, 11), (10, 0)])
def test_k_fold_must_fit(n: int, k: int):
    with pytest.raises(InputError, match="cannot cut"):
        k_fold(n, k)


def test_fold_of_a_data_set():
    data = load("synthetic")
    part = fold(data, 4, 3)
    assert np.array_equal(part.test[0], data.train[0][750:]) and len(part.train[0]) == 750
    assert part.source.endswith("fold 3 of 4")
    with pytest.raises(InputError, match="no fold 4"):
        fold(data, 4, 4)


def test_synthetic_follows_its_rule():
    data = synthetic_regression([2, -3.4], 4.2, noise=0.01, num_train=500, num_val=70, seed=3)
    X, y = data.train
    X_test, y_test = data.test
    assert X.shape == (500, 2) and y.shape == (500, 1) and X_test.shape == (70, 2) and y_test.shape == (70, 1)
    assert X.dtype == y.dtype == np.float32
    left = y - X @ np.array([[2], [-3.4]], np.float32) - 4.2
    assert 0.008 < left.std() < 0.012 and abs(X.mean()) < 0.1 and abs(X.std() - 1) < 0.1


def test_synthetic_depends_on_the_seed_alone():
    first, second, other = (load("synthetic", seed=seed).train[0] for seed in (1, 1, 2))
    assert np.array_equal(first, second) and not np.array_equal(first, other)
    assert first.shape == (1000, 2)


@pytest.mark.parametrize("bad", [dict(w=[]), dict(num_train=0), dict(num_val=0), dict(seed=-1)])
def test_synthetic_bad_input(bad: dict):
    with pytest.raises(InputError, match="synthetic data needs"):
        synthetic_regression(**{"w": [1.0], "b": 0.0} | bad)


def test_weight_decay_data():
    data = weight_decay_data()
    assert data.train[0].shape == (20, 200) and data.test[0].shape == (100, 200)
    left = data.test[1] - data.test[0].sum(1, keepdims=True) * np.float32(0.01) - 0.05
    assert 0.005 < left.std() < 0.015


def test_ohms_law_is_exact():
    X, y = ohms_law().train
    assert X.shape == (100, 1) and np.array_equal(y, 30 * X)


def test_digits_split_is_fixed_and_mixed():
    data = load("digits")
    of_another_seed = load("digits", seed=5)
    assert data.train[0].shape == (1437, 28, 28, 1) and data.train[0].dtype == np.uint8
    assert data.train[0].max() == 255 and data.train[0].min() == 0
    assert np.array_equal(data.test[0], of_another_seed.test[0])
    assert set(data.train[1]) == set(data.test[1]) == set(range(10))
    assert "arrays" not in repr(data) and "(1437, 28, 28, 1)" in repr(data)


def test_diabetes_is_standardised():
    data = load("diabetes")
    X, y = data.train
    assert X.shape == (353, 10) and y.shape == (353, 1) and data.test[0].shape == (89, 10)
    assert X.dtype == y.dtype == np.float32
    assert np.allclose(X.mean(0), 0, atol=1e-5) and np.allclose(X.std(0, ddof=1), 1, atol=1e-5)
