"""idx files: what is read, and that every kind of damage is named."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from data_toy import idx_bytes, same, toy_images, write_idx

from d2l_jax.data import load
from d2l_jax.data.images.idx import IMAGES, LABELS, read_idx
from d2l_jax.errors import InputError

TOY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("end", ["", ".gz"])
def test_reads_what_was_written(tmp_path: Path, end: str):
    path = write_idx(tmp_path / f"x{end}", TOY)
    images = read_idx(path, IMAGES)
    assert images.dtype == np.uint8 and np.array_equal(images, TOY)
    assert images.flags.writeable  # torch.from_numpy warns otherwise


DAMAGE = {
    "cut in the header": ("x", idx_bytes(TOY)[:9], "is cut off: 9 bytes"),
    "cut in the data": ("x", idx_bytes(TOY)[:-1], "holds 23 bytes of data; its header promises 24"),
    "too long": ("x", idx_bytes(TOY) + b"0", "holds 25 bytes of data; its header promises 24"),
    "labels for images": ("x", idx_bytes(TOY[0, 0]) + bytes(20), "magic number 0x00000801"),
    "no example": ("x", idx_bytes(TOY[:0]), "holds no examples"),
    "huge header": ("x", b"\0\0\x08\x03" + b"\xff" * 12, "its header promises"),
    "gzip cut": ("x.gz", gzip.compress(idx_bytes(TOY))[:-12], "is cut off: the gzip stream ends early"),
    "no gzip": ("x.gz", b"<html>Not found</html>", "is no sound gzip file"),
    "gzip damaged": ("x.gz", gzip.compress(idx_bytes(TOY))[:10] + b"\xff" * 40, "is no sound gzip file"),
    "empty": ("x.gz", b"", "is cut off"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named(tmp_path: Path, case: str):
    name, content, message = DAMAGE[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_idx(tmp_path / name, IMAGES)
    assert str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)


def test_images_where_labels_should_be(tmp_path: Path):
    with pytest.raises(InputError, match="has magic number 0x00000803; .* has 0x00000801"):
        read_idx(write_idx(tmp_path / "x", TOY), LABELS)


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(InputError, match="cannot read .*directory"):
        read_idx(tmp_path, IMAGES)


def test_images_and_labels_must_agree(tmp_path: Path):
    toy_images(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(7))
    with pytest.raises(InputError, match="holds 30 images but train-labels-idx1-ubyte.gz 7 labels"):
        load(source=tmp_path)


def test_a_missing_file_is_named(tmp_path: Path):
    toy_images(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match="lacks t10k-labels-idx1-ubyte"):
        load(source=tmp_path)


def test_splits_of_different_size(tmp_path: Path):
    toy_images(tmp_path)
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", np.zeros((12, 8, 8)))
    with pytest.raises(InputError, match=r"training images of \(6, 5\) but test images of \(8, 8\)"):
        load(source=tmp_path)


def test_a_label_beyond_the_classes(tmp_path: Path):
    toy_images(tmp_path / "mnist")
    write_idx(tmp_path / "mnist" / "train-labels-idx1-ubyte.gz", np.full(30, 11))
    with pytest.raises(InputError, match="holds a label 11; mnist has the labels 0 to 9"):
        load(source=tmp_path / "mnist")


@pytest.mark.parametrize("end", ["", ".gz"])
def test_folder_plain_and_gzipped(tmp_path: Path, end: str):
    arrays = toy_images(tmp_path / "mine", end=end)
    data = load(source=tmp_path / "mine")
    assert same(data, arrays)
    assert data.name == "mine" and data.classes == tuple("0123456789")
    assert data.source == f"idx files in {tmp_path / 'mine'}"
