"""Bananas with their boxes: in folders and zips, drawn ones in their place, and what is refused."""

import os
import zipfile
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest
from PIL import Image

from d2l_jax.data import load
from d2l_jax.data.drawn.bananas import bananas
from d2l_jax.data.files import files_in
from d2l_jax.data.images import banana_set
from d2l_jax.errors import InputError

HEADER = "img_name,label,xmin,ymin,xmax,ymax\n"
SHARED = Path(os.environ.get("D2L_DATA", "nowhere")) / "banana-detection"


def written(folder: Path, rows: str = "0.png,0,2,3,10,9\n1.png,0,0,0,16,12\n") -> Path:
    """Writes two splits of two pictures of 16x12, and returns the folder."""
    for split in ("bananas_train", "bananas_val"):
        images = folder / "banana-detection" / split / "images"
        images.mkdir(parents=True)
        for number in range(2):
            Image.fromarray(np.full((12, 16, 3), 40 * number + 7, np.uint8)).save(images / f"{number}.png")
        (images.parent / "label.csv").write_text(HEADER + rows)
    return folder


def test_a_folder_is_read(tmp_path):
    data = load("bananas", source=written(tmp_path))
    X, y = data.train
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((2, 12, 16, 3), np.float32, (2, 1, 5), np.float32)
    assert data.kind == "boxes" and data.classes == ("banana",)
    assert X[1].min() == X[1].max() == 47  # from 0 to 255, as the book has them
    np.testing.assert_allclose(y[0, 0], [0, 2 / 16, 3 / 12, 10 / 16, 9 / 12])


def test_a_zip_is_read_as_its_folder(tmp_path):
    folder = written(tmp_path / "plain")
    with zipfile.ZipFile(tmp_path / "banana-detection.zip", "w") as archive:
        for file in folder.rglob("*.*"):
            archive.write(file, file.relative_to(folder))
    for ours, theirs in zip(load("bananas", source=tmp_path).train, load("bananas", source=folder).train):
        np.testing.assert_array_equal(ours, theirs)


def test_pictures_are_resized_and_boxes_are_parts_of_them(tmp_path):
    data = load("bananas", source=written(tmp_path), resize=(24, 32))
    assert data.test[0].shape == (2, 24, 32, 3) and data.test[0].dtype == np.float32
    np.testing.assert_allclose(data.test[1][1, 0], [0, 0, 0, 1, 1])


REFUSED = {
    "line 2: the box (10, 3, 2, 9) has swapped corners; xmin < xmax, ymin < ymax is right": "0.png,0,10,3,2,9\n",
    "line 2: class 3 is unknown; {0: 'banana'} is right": "0.png,3,2,3,10,9\n",
    "line 2: the box (2, 3, 17, 9) reaches beyond its picture of 16x12": "0.png,0,2,3,17,9\n",
    "line 2: label, xmin, ymin, xmax, ymax must be numbers": "0.png,0,2,3,ten,9\n",
    "images/7.png is missing; the table names it": "7.png,0,2,3,10,9\n",
    "has two rows for 0.png; one box in each picture is right": "0.png,0,2,3,10,9\n0.png,0,2,3,9,9\n",
    "label.csv has no rows of img_name, label, xmin, ymin, xmax, ymax": "",
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_table_that_is_wrong_is_one_line(tmp_path, words):
    with pytest.raises(InputError) as caught:
        load("bananas", source=written(tmp_path, REFUSED[words]))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_picture_that_is_cut_off_is_one_line(tmp_path):
    file = written(tmp_path) / "banana-detection" / "bananas_train" / "images" / "1.png"
    file.write_bytes(file.read_bytes()[:45])
    with pytest.raises(InputError, match=r"images/1.png is no whole picture \(.*\); fetch it again"):
        load("bananas", source=tmp_path)


def test_a_folder_without_bananas_is_one_line(tmp_path):
    with pytest.raises(InputError, match="holds no bananas; banana-detection.zip"):
        load("bananas", source=tmp_path)


def test_drawn_bananas_lie_in_their_boxes():
    data = bananas(6, 2, size=64)
    repeated = bananas(6, 2, size=64)
    other = bananas(6, 2, size=64, seed=1)
    X, y = data.train
    np.testing.assert_array_equal(X, repeated.train[0])
    assert not np.array_equal(X, other.train[0])
    assert X.dtype == np.float32 and X.min() >= 0 and X.max() <= 255 and np.array_equal(X, np.rint(X))
    left, top, right, bottom = np.concatenate([y, data.test[1]])[:, 0, 1:].T
    assert (left >= 0).all() and (top >= 0).all() and (right <= 1).all() and (bottom <= 1).all()
    assert (right - left > 0.08).all() and (right - left < 0.4).all()
    assert (bottom - top > 0.08).all() and (bottom - top < 0.4).all()
    for image, (_, *corners) in zip(X, y[:, 0]):
        x1, y1, x2, y2 = np.rint(np.array(corners) * 64).astype(int)
        yellow = (image[..., 0] > 150) & (image[..., 1] > 110) & (image[..., 2] < 0.85 * image[..., 0])
        assert yellow[y1:y2, x1:x2].sum() > 15


@pytest.fixture(name="few")
def few_fixture(monkeypatch):
    for name, count in (("DRAWN", 3), ("VIEWS", 2), ("HELD_OUT", 2)):
        monkeypatch.setattr(banana_set, name, count)


def only_test(folder: Path, color: tuple[int, int, int] = (0, 0, 0)) -> Path:
    """Writes two square pictures of one colour as those to test on, none to train on, and returns the folder."""
    rmtree(written(folder) / "banana-detection" / "bananas_train")
    for number in range(2):
        Image.new("RGB", (16, 16), color).save(folder / "banana-detection" / "bananas_val" / "images" / f"{number}.png")
    return folder


def test_pictures_that_are_not_square_are_not_mixed_with_drawn_ones(tmp_path):
    rmtree(written(tmp_path) / "banana-detection" / "bananas_train")
    with pytest.raises(InputError, match="pictures of 12x16 are not drawn"):
        load("bananas", source=tmp_path)


@pytest.mark.usefixtures("few")
def test_views_and_drawn_ones_are_learned_from_where_only_test_pictures_are_there(tmp_path):
    data = load("bananas", source=only_test(tmp_path), resize=(8, 8))
    assert data.train[0].shape == (5, 8, 8, 3) and "views of the 2 pictures" in data.source
    first, second, again = (data.of_epoch(epoch) for epoch in (1, 2, 1))
    assert first[0].shape == (5, 8, 8, 3)
    assert (first[0] == again[0]).all() and (first[1] == again[1]).all()
    for part in (slice(0, 3), slice(3, 5)):  # drawn ones, and views
        assert (first[1][part] != second[1][part]).any() and (first[1][part] != data.train[1][part]).any()


@pytest.mark.usefixtures("few")
def test_what_is_learned_from_is_not_tested_on(tmp_path):
    data = load("bananas", source=only_test(tmp_path))
    views, tested = data.of_epoch(1)[0][3:], data.test[0]
    assert len(views) == 2 and (views == 0).all()  # the black pictures of the folder
    assert tested.shape == (2, 16, 16, 3) and all((picture > 0).any() for picture in tested)
    assert "drawn ones to test on" in data.source


@pytest.mark.usefixtures("few")
@pytest.mark.skipif(not SHARED.is_dir(), reason="D2L_DATA holds no bananas")
def test_the_books_pictures_have_their_boxes():
    read = banana_set._split(files_in(SHARED), banana_set.TEST)
    assert read is not None
    X, y = read
    assert X.shape == (4, 256, 256, 3) and y.shape == (4, 1, 5)
    np.testing.assert_array_equal(y[0, 0] * 256, [0, 151, 163, 193, 203])
    mixed, boxes = load("bananas", source=SHARED.parent).train
    assert mixed.shape == (5, 256, 256, 3) and boxes.min() >= 0 and boxes.max() <= 1
