"""The book's bananas, or any pictures with one box each in the same form (section 14.6)."""

import csv
import io
from pathlib import Path

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.data.drawn.bananas import CLASSES, drawn
from d2l_jax.data.files import Files, files_in, read_picture, read_text
from d2l_jax.data.find.download import BOOK_MIRRORS, fetch
from d2l_jax.data.find.places import download_folder
from d2l_jax.data.images.views import views
from d2l_jax.errors import InputError

ZIP = "banana-detection.zip"
SHA1 = "5de26c8fce5ccdea9f91267273464dc968d20d72"
STEM = "banana-detection"
TABLE = "label.csv"
DRAWN = 208  # pictures in an epoch, where the training pictures are not there
VIEWS = 48  # of the pictures that are there, beside them
HELD_OUT = 50  # drawn pictures to test on, since the others are learned from then
COLUMNS = ("img_name", "label", "xmin", "ymin", "xmax", "ymax")
TRAIN = f"bananas_train/{TABLE}"
TEST = f"bananas_val/{TABLE}"


def read_bananas(folder: Path) -> Dataset | None:
    """Reads `bananas_train` and `bananas_val`, each a `label.csv` and a folder `images`; None where there is neither.

    They lie in the folder itself, in its folder `banana-detection`, or in `banana-detection.zip`. Where `bananas_train`
    is not there, the pictures of `bananas_val` are learned from, in other views in every epoch, among drawn bananas of
    their size; those to test on are drawn then, so that none of them was learned from.

    Returns:
      X float32 (N, H, W, 3) from 0 to 255, y float32 (N, 1, 5): the class, and left, top, right and bottom as parts of
      width and height.

    Raises:
      InputError: a picture or a table is damaged, a box has swapped corners or lies outside its picture, or a class is
        unknown.
    """
    for spot in (folder, folder / STEM, folder / ZIP):
        if spot.is_file() or any((spot / Path(table).parent).is_dir() for table in (TRAIN, TEST)):
            return _read(files_in(spot))
    return None


def fetch_bananas() -> Path:
    """Downloads the book's zip into `download_folder()` and returns the folder; InputError where that fails."""
    return fetch(ZIP, BOOK_MIRRORS, SHA1, download_folder()).parent


def no_bananas(folder: Path) -> InputError:
    """Returns the error for a folder in which `read_bananas` finds nothing."""
    return InputError(f"{folder} holds no bananas; {ZIP}, or {TRAIN} and {TEST} beside folders of images, are right")


def _read(files: Files) -> Dataset:
    test = _split(files, TEST)
    train = _split(files, TRAIN)
    if test is None:
        raise InputError(f"{files.where} lacks {TEST}; the pictures to test on are needed")
    if train is None:
        return _among_drawn(files, test)
    if train[0].shape[1:] != test[0].shape[1:]:
        sizes = (f"{X.shape[1]}x{X.shape[2]}" for X in (train[0], test[0]))
        raise InputError("{} holds pictures of {} to train on but of {} to test on".format(files.where, *sizes))
    return Dataset("bananas", train, test, f"pictures and boxes in {files.where}", CLASSES)


def _among_drawn(files: Files, seen: Split) -> Dataset:
    """Returns few pictures and drawn ones to train on, others in every epoch, and drawn ones to test on."""
    height, width, _ = seen[0].shape[1:]
    if height != width:
        raise InputError(f"{files.where} lacks {TRAIN}, and pictures of {height}x{width} are not drawn")

    def redraw(epoch: int) -> Split:
        random = np.random.default_rng((1, epoch))
        pairs = zip(drawn(DRAWN, height, 0, epoch), views(seen, VIEWS, random))
        X, y = (np.concatenate(pair) for pair in pairs)
        return X, y

    source = (
        f"views of the {len(seen[0])} pictures in {files.where} and drawn ones to train on, others in every epoch; "
        "drawn ones to test on"
    )
    return Dataset("bananas", redraw(0), drawn(HELD_OUT, height, 0, -1), source, CLASSES, redraw=redraw)


def _split(files: Files, table: str) -> Split | None:
    name = next((name for name in files.names if name == table or name.endswith(f"/{table}")), None)
    if name is None:
        return None
    rows = _rows(files, name)
    folder = f"{name.removesuffix(TABLE)}images"
    pictures = [_picture(files, folder, row) for row in rows]
    for row, image in zip(rows, pictures):
        if image.shape != pictures[0].shape:
            sizes = "{1}x{0} among pictures of {3}x{2}".format(*image.shape[:2], *pictures[0].shape[:2])
            raise InputError(f"{files.where}: {folder}/{row['img_name']} has {sizes}; one size is right")
    height, width, _ = pictures[0].shape
    labels = [_label(f"{files.where}: {name}", number, row, width, height) for number, row in enumerate(rows, 2)]
    return np.stack(pictures).astype(np.float32), np.stack(labels)[:, None]


def _rows(files: Files, name: str) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(files, name))))
    except csv.Error as error:
        raise InputError(f"{files.where}: {name} is no table of text ({error})") from error
    if not rows or set(COLUMNS) - set(rows[0]):
        raise InputError(f"{files.where}: {name} has no rows of {', '.join(COLUMNS)}")
    seen = [row["img_name"] for row in rows]
    for picture in (each for each in set(seen) if seen.count(each) > 1):
        raise InputError(f"{files.where}: {name} has two rows for {picture}; one box in each picture is right")
    return rows


def _picture(files: Files, folder: str, row: dict[str, str]) -> np.ndarray:
    name = f"{folder}/{row['img_name']}"
    if name not in files.names:
        raise InputError(f"{files.where}: {name} is missing; the table names it")
    return read_picture(files, name)


def _label(where: str, line: int, row: dict[str, str], width: int, height: int) -> np.ndarray:
    """Returns (class, left, top, right, bottom) of a row, float32; InputError for what is no box of the picture."""
    try:
        label, *corners = (float(row[column]) for column in COLUMNS[1:])
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}, line {line}: {', '.join(COLUMNS[1:])} must be numbers") from error
    left, top, right, bottom = corners
    box = "({:g}, {:g}, {:g}, {:g})".format(*corners)
    if label not in range(len(CLASSES)):
        raise InputError(f"{where}, line {line}: class {label:g} is unknown; {dict(enumerate(CLASSES))} is right")
    if not (left < right and top < bottom):
        raise InputError(f"{where}, line {line}: the box {box} has swapped corners; xmin < xmax, ymin < ymax is right")
    if left < 0 or top < 0 or right > width or bottom > height:
        raise InputError(f"{where}, line {line}: the box {box} reaches beyond its picture of {width}x{height}")
    return np.array([label, left / width, top / height, right / width, bottom / height], np.float32)
