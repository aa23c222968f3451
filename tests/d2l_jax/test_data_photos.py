"""Photographs with classes: in folders, zips, beside a csv file of labels, CIFAR-10's batches; and damaged ones."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_toy import REAL, alone_fixture, needs_real  # noqa: F401
from PIL import Image

from d2l_jax.data import KNOWN, kind_of, load, stand_in
from d2l_jax.data.drawn.shapes import SHAPES, shapes
from d2l_jax.data.images.labelled import held_out
from d2l_jax.data.images.stack import middle
from d2l_jax.errors import InputError


def picture(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def write(path: Path, X: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(X).save(path)


def folders(root: Path, tests: str = "test") -> None:
    """Two classes: pictures of several sizes to train on, and one each to test on."""
    for number, label in enumerate(("hotdog", "not-hotdog")):
        for count in range(3):
            write(root / "train" / label / f"{count}.png", picture((20 + count, 30 - count), number))
        write(root / tests / label / "a.png", picture((40, 52), number))


def zipped(root: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(root.rglob("*.*")):
            archive.write(path, path.relative_to(root.parent))
    return target


def table(root: Path, name: str = "trainLabels.csv", end: str = "png") -> None:
    """Eleven pictures of class b and twenty-one of class a, as Kaggle has them."""
    labels = ["b", *"a" * 21, *"b" * 10]
    for number in range(len(labels)):
        write(root / "train" / f"{number}.{end}", np.full((8, 6, 3), number, np.uint8))
    (root / name).write_text("id,label\n" + "".join(f"{number},{label}\n" for number, label in enumerate(labels)))


@pytest.mark.parametrize("form", ["folder", "zip", "itself"])
def test_folders_of_classes(alone: Path, form: str):
    folders(alone / "data" / "hotdog")
    if form == "zip":
        zipped(alone / "data" / "hotdog", alone / "hotdog_subset.zip")
    source = {"folder": alone / "data", "zip": alone, "itself": alone / "data" / "hotdog"}[form]
    data = load("hotdog", source=source)
    assert data.classes == ("hotdog", "not-hotdog") and data.kind == "image"
    X, y = data.train
    assert X.shape == (6, 22, 30, 3) and y.tolist() == [0, 0, 0, 1, 1, 1] and y.dtype == np.int32
    assert data.sizes is not None and data.sizes.tolist() == [[20, 30], [21, 29], [22, 28]] * 2
    assert np.array_equal(X[1, :21, :29], picture((21, 29))) and not X[1, 21:].any() and not X[1, :, 29:].any()
    assert data.test[0].shape == (2, 224, 224, 3) and data.test[1].tolist() == [0, 1]
    assert load("hotdog", source=source, resize=(32, 32)).test[0].shape == (2, 32, 32, 3)


def test_a_folder_without_a_known_name(alone: Path):
    folders(alone / "mine", "val")
    data = load(source=alone / "mine")
    assert data.name == "mine" and data.examples == 6 and data.held_out == 2


def test_the_middle_is_the_books():
    """Pillow's resize and torchvision's centre crop."""
    from torchvision import transforms

    X = picture((61, 83))
    for to, theirs in (((50, 50), (50, 50)), (50, 50)):
        chain = transforms.Compose([transforms.Resize(theirs), transforms.CenterCrop((33, 40))])
        assert np.array_equal(middle(X, to, (33, 40)), np.asarray(chain(Image.fromarray(X))))


@pytest.mark.parametrize("name, end", [("trainLabels.csv", "png"), ("labels.csv", "jpg")])
def test_a_table_of_labels(alone: Path, name: str, end: str):
    """The first of each class are held out: a tenth of the smallest class, 11 pictures."""
    table(alone / "kaggle_cifar10_tiny", name, end)
    data = load("cifar10_tiny", source=alone)
    assert data.classes == ("a", "b") and data.sizes is None
    assert data.test[1].tolist() == [1, 0] and data.test[0][:, 0, 0, 0].tolist() == [0, 1]
    assert data.examples == 30 and data.train[0].shape[1:] == (8, 6, 3)


def test_the_books_ratio():
    labelled = [(str(number), "ab"[number % 3 == 0]) for number in range(90)]  # 60 of a, 30 of b
    split = held_out(labelled, 0.1)
    assert [sum(label == each for _, label in split.test) for each in "ab"] == [3, 3]
    assert len(held_out(labelled, 0.001).test) == 2  # at least one of each
    assert split.test[0] == ("0", "b") and len(split.train) == 84


def batches(folder: Path, pickled: bool) -> np.ndarray:
    """CIFAR-10's files with three images each; returns those of the test batch."""
    folder.mkdir(parents=True)
    X = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    flat = X.transpose(0, 3, 1, 2).reshape(3, -1)
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        if pickled:
            (folder / name).write_bytes(pickle.dumps({b"data": flat, b"labels": [1, 9, 0]}, 2))
        else:
            records = np.concatenate([np.array([[1], [9], [0]], np.uint8), flat], 1)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
    return X


@pytest.mark.parametrize("form, pickled", [("bin", False), ("py", True)])
def test_cifar10(alone: Path, form: str, pickled: bool):
    X = batches(alone / f"cifar-10-batches-{form}", pickled)
    data = load("cifar10", source=alone)
    assert data.examples == 15 and np.array_equal(data.test[0], X) and data.test[1].tolist() == [1, 9, 0]
    assert data.classes[3] == "cat"


def test_a_pickle_of_anything_else_runs_nothing(alone: Path):
    batches(alone / "cifar-10-batches-py", True)
    (alone / "cifar-10-batches-py" / "data_batch_2").write_bytes(pickle.dumps(Path("x")))
    with pytest.raises(InputError, match="data_batch_2 is no batch of CIFAR-10 .*pathlib"):
        load("cifar10", source=alone)


def damaged(alone: Path, how: str) -> None:
    root = alone / "hotdog"
    folders(root)
    first = root / "train" / "hotdog" / "0.png"
    if how == "truncated":
        first.write_bytes(first.read_bytes()[:-900])
    elif how == "text":
        first.write_text("no picture")
    elif how == "no classes":
        for path in [*root.rglob("*.png")]:
            path.rename(path.parent.parent / f"{path.parent.name}-{path.name}")
    elif how == "another class":
        write(root / "test" / "cat" / "a.png", picture((5, 5)))
    elif how == "no test":
        for path in [*(root / "test").rglob("*.png")]:
            path.unlink()
    elif how == "zip":
        (alone / "hotdog.zip").write_bytes(b"PK nothing")
        for path in [*root.rglob("*.png")]:
            path.unlink()


@pytest.mark.parametrize(
    "how, words",
    [
        ("truncated", "0.png is no whole picture .*fetch it again"),
        ("text", "0.png is no whole picture .*no format that Pillow knows"),
        ("no classes", "no folders of classes in train; train/CLASS"),
        ("another class", "a class cat in test that train lacks"),
        ("no test", "no folders of classes in test"),
        ("zip", "hotdog.zip is no sound zip file"),
    ],
)
def test_damaged_pictures_in_one_line(alone: Path, how: str, words: str):
    damaged(alone, how)
    with pytest.raises(InputError, match=words) as error:
        load("hotdog", source=alone)
    assert "\n" not in str(error.value)


def test_damaged_tables_in_one_line(alone: Path):
    root = alone / "kaggle_cifar10_tiny"
    table(root)
    (root / "train" / "5.png").unlink()
    with pytest.raises(InputError, match="names a picture 5 that train lacks"):
        load("cifar10_tiny", source=alone)
    (root / "trainLabels.csv").write_text("id,label\n1,2,3\n")
    with pytest.raises(InputError, match="trainLabels.csv is garbled"):
        load("cifar10_tiny", source=alone)
    (root / "trainLabels.csv").write_text("id,label\n")
    with pytest.raises(InputError, match="trainLabels.csv has no rows"):
        load("cifar10_tiny", source=alone)
    with pytest.raises(InputError, match="holds no dogs; a folder .or a zip. called kaggle_dog_tiny"):
        load("dogs", source=alone)


def test_drawn_shapes_stand_in():
    data = load("shapes")
    again = shapes(seed=0)
    assert np.array_equal(data.train[0], again.train[0]) and data.classes == tuple(SHAPES)
    assert data.train[0].shape == (1000, 32, 32, 3) and data.test[0].shape == (300, 32, 32, 3)
    assert load("two_shapes").train[1].max() == 1
    assert all(stand_in(name) in KNOWN and kind_of(stand_in(name)) == kind_of(name) for name in KNOWN)
    assert not np.array_equal(data.train[0], load("shapes", seed=1).train[0])


@needs_real("hotdog")
def test_the_real_ones():
    data = load("hotdog", source=REAL)
    assert (data.examples, data.held_out) == (240, 80) and data.sizes is not None and data.sizes.min() == 256
    tiny = load("cifar10_tiny", source=REAL)
    assert (tiny.examples, tiny.held_out) == (900, 100) and tiny.train[0].shape[1:] == (32, 32, 3)
    assert np.bincount(tiny.test[1]).tolist() == [10] * 10
    dogs = load("dogs", source=REAL)
    assert (dogs.examples, dogs.held_out, len(dogs.classes)) == (14, 16, 16)


def test_a_picture_is_read_whatever_its_colours(alone: Path):
    """Grey, palette and transparent pictures become red, green and blue."""
    folders(alone / "hotdog")
    for mode in ("L", "P", "RGBA"):
        Image.fromarray(picture((9, 9))).convert(mode).save(alone / "hotdog" / "train" / "hotdog" / f"{mode}.png")
    assert load("hotdog", source=alone).train[0].shape == (9, 22, 30, 3)
