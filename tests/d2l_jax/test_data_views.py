"""Other views of pictures with a box each: the box stays around its object, whatever was done to the picture."""

import numpy as np

from d2l_jax.data.images.views import view, views

SIDE = 40


def block(left: int, top: int, right: int, bottom: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns a dark picture with a bright block, and the block's label."""
    image = np.full((SIDE, SIDE, 3), 20, np.float32)
    image[top:bottom, left:right] = 180
    return image, np.array([0, *np.array([left, top, right, bottom]) / SIDE], np.float32)


def bounds(image: np.ndarray) -> np.ndarray:
    """Returns left, top, right and bottom of what is bright, as parts of the side."""
    bright = image.max(-1) > 70
    rows, columns = (np.flatnonzero(bright.any(axis)) for axis in (1, 0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / SIDE


def test_the_box_goes_with_its_object():
    image, label = block(3, 8, 14, 30)
    random = np.random.default_rng(0)
    shown = [view(image, label, random) for _ in range(60)]
    for picture, seen in shown:
        assert picture.shape == image.shape and picture.dtype == np.float32 and picture.max() <= 255
        np.testing.assert_allclose(seen[1:], bounds(picture), atol=1.1 / SIDE)
    # The control: the box before is not the box after.
    moved = [abs(seen[1:] - label[1:]).max() > 2 / SIDE for _, seen in shown]
    assert sum(moved) > 40
    wide = {bool(seen[3] - seen[1] > seen[4] - seen[2]) for _, seen in shown}
    assert wide == {True, False}


def test_a_box_at_the_borders_stays_whole():
    image, label = block(0, 0, SIDE, SIDE)
    random = np.random.default_rng(1)
    for _ in range(8):
        np.testing.assert_allclose(view(image, label, random)[1][1:], [0, 0, 1, 1], atol=1e-6)
    image, label = block(0, 33, 7, SIDE)
    for _ in range(20):
        _, seen = view(image, label, random)
        assert (seen[1:] >= -1e-6).all() and (seen[1:] <= 1 + 1e-6).all()


def test_views_are_of_all_pictures_and_the_same_for_a_seed():
    pictures, labels = zip(block(3, 8, 14, 30), block(20, 2, 35, 12))
    split = np.stack(pictures), np.stack(labels)[:, None]
    X, y = views(split, 12, np.random.default_rng(2))
    again, _ = views(split, 12, np.random.default_rng(2))
    other, _ = views(split, 12, np.random.default_rng(3))
    assert X.shape == (12, SIDE, SIDE, 3) and y.shape == (12, 1, 5) and y.dtype == np.float32
    np.testing.assert_array_equal(X, again)
    assert (other != X).any()
    areas = (y[:, 0, 3] - y[:, 0, 1]) * (y[:, 0, 4] - y[:, 0, 2]) * (SIDE**2)
    assert len(np.unique(np.rint(areas))) > 3
