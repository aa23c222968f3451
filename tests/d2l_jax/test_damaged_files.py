"""Pictures, tables and archives that are damaged in unusual ways are one line, and sound neighbours are read."""

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_toy import alone_fixture  # noqa: F401
from PIL import Image

from d2l_jax.data import Dataset, load
from d2l_jax.data.text.reviews import read_imdb
from d2l_jax.errors import InputError
from d2l_jax.runs.plot import draw_images


def write(path: Path, seed: int = 0, size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)).save(path)


def hotdogs(target: Path, packing: int = zipfile.ZIP_STORED) -> None:
    """A zip of two classes, with two pictures each to train on and one to test on."""
    with zipfile.ZipFile(target, "w", packing) as archive:
        for name in (f"hotdog/{part}/{label}/{n}.png" for part in ("train", "test") for label in "ab" for n in (0, 1)):
            write(target.parent / "one.png", len(name))
            archive.write(target.parent / "one.png", name)


def changed(target: Path, at: int, in_list: int, value: int) -> None:
    """Sets a byte of every member's head, and of its row in the archive's list."""
    content = bytearray(target.read_bytes())
    for sign, place in ((b"PK\x03\x04", at), (b"PK\x01\x02", in_list)):
        start = content.find(sign)
        while start >= 0:
            content[start + place] = value
            start = content.find(sign, start + 4)
    target.write_bytes(bytes(content))


def test_a_zip_of_the_book_in_a_folder_that_is_named(alone: Path):
    hotdogs(alone / "hotdog.zip")
    data = load(source=alone, kind="image")
    assert data.name == "hotdog" and data.classes == ("a", "b") and data.examples == 4


@pytest.mark.parametrize("at, in_list, value, words", [(6, 8, 1, "is encrypted"), (8, 10, 97, "not supported")])
def test_a_zip_that_cannot_be_unpacked(alone: Path, at: int, in_list: int, value: int, words: str):
    hotdogs(alone / "hotdog.zip")
    changed(alone / "hotdog.zip", at, in_list, value)
    with pytest.raises(InputError, match=f"hotdog.zip: .*0.png is no whole picture .*{words}"):
        load(source=alone, kind="image")


def test_a_zip_with_bytes_that_do_not_inflate(alone: Path):
    hotdogs(alone / "hotdog.zip", zipfile.ZIP_DEFLATED)
    content = bytearray((alone / "hotdog.zip").read_bytes())
    content[60:80] = b"\xff" * 20
    (alone / "hotdog.zip").write_bytes(bytes(content))
    with pytest.raises(InputError, match="0.png is no whole picture .*; fetch it again"):
        load("hotdog", source=alone)


def test_a_picture_of_billions_of_pixels(alone: Path):
    path = alone / "hotdog" / "train" / "a" / "0.png"
    write(path)
    write(alone / "hotdog" / "test" / "a" / "0.png")
    parts = [
        b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0),
        b"IDAT" + zlib.compress(bytes(9)),
        b"IEND",
    ]
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(InputError, match="0.png is no whole picture .*3600000000 pixels"):
        load("hotdog", source=alone)


REFUSED = {
    "has two rows for 1; one label for each picture is right": b"id,label\n1,frog\n1,cat\n2,cat\n3,frog\n4,cat\n",
    "has one picture of each class, to test on; two or more are right": b"id,label\n1,frog\n2,cat\n",
    "trainLabels.csv, line 2: byte 0xe9 is not UTF-8": b"id,label\n1,caf\xe9\n2,cat\n",
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_table_of_labels_that_leaves_nothing_to_learn(alone: Path, words: str):
    root = alone / "kaggle_cifar10_tiny"
    for number in range(1, 5):
        write(root / "train" / f"{number}.png")
    (root / "trainLabels.csv").write_bytes(REFUSED[words])
    with pytest.raises(InputError, match=words):
        load("cifar10_tiny", source=alone)


def test_control_a_table_as_spreadsheets_write_it(alone: Path):
    root = alone / "kaggle_cifar10_tiny"
    for number in range(1, 5):
        write(root / "train" / f"{number}.png")
    (root / "trainLabels.csv").write_bytes(b"\xef\xbb\xbfid,label\r\n1,frog\r\n2,cat\r\n3,frog\r\n4,cat\r\n")
    assert load("cifar10_tiny", source=alone).classes == ("cat", "frog")
    boxes = b"\xef\xbb\xbfimg_name,label,xmin,ymin,xmax,ymax\r\n0.png,0,1,1,4,5\r\n"
    for part in ("train", "val"):
        write(alone / "banana-detection" / f"bananas_{part}" / "images" / "0.png")
        (alone / "banana-detection" / f"bananas_{part}" / "label.csv").write_bytes(boxes)
    assert load("bananas", source=alone).examples == 1


def test_a_list_of_names_that_is_not_utf8(tmp_path: Path):
    lists = tmp_path / "VOC2012" / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_bytes(b"a\ncaf\xe9\n")
    with pytest.raises(InputError, match="train.txt, line 2: byte 0xe9 is not UTF-8"):
        load("voc2012", source=tmp_path)


def test_a_text_that_is_called_an_archive_is_one_line(tmp_path: Path):
    (tmp_path / "aclImdb_v1.tar.gz").write_text("not found")
    with pytest.raises(InputError, match="aclImdb_v1.tar.gz is no sound archive .*; fetch it again") as error:
        read_imdb(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_one_pixel_are_drawn(tmp_path: Path, channels: int):
    split = np.zeros((2, 1, 1, channels), np.uint8), np.array([0, 1], np.int32)
    metrics = {"model": "resnet18-hotdog", "data": {"name": "dots"}, "framework": "jax"}
    draw_images(metrics, Dataset("dots", split, split, "a test", ("a", "b")), np.eye(2), tmp_path / "dots.png")
    assert (tmp_path / "dots.png").stat().st_size
