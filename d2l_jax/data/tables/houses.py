"""The Ames house prices of section 5.7, prepared as the book prepares them with pandas."""

from pathlib import Path

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.find.download import BOOK_MIRRORS, fetch
from d2l_jax.data.find.places import download_folder
from d2l_jax.data.tables.table import Table, numbers, one_hot, read_csv, standardised
from d2l_jax.errors import InputError

SHA256 = {
    "kaggle_house_pred_train.csv": "1e18addf81e5e4d347cc17ee6075bbe4a42b7fa26b9e5b063e8f692a5f929d41",
    "kaggle_house_pred_test.csv": "8fdd3d829d4d986b58f845c9553b225e67dd8383624d90fb6ca1d4bed5798c1e",
}
STEMS = ("kaggle_house", "kaggle_house_pred")
ID = "Id"
PRICE = "SalePrice"


def read_houses(folder: Path) -> Dataset | None:
    """Reads the house prices in `folder` or in its `tabular` folder; None where neither of the two files is there.

    Returns:
      train: X float32 (1460, 330), y float32 (1460, 1) = log(SalePrice in dollars). test: X float32
      (1459, 330), y NaN (1459, 1), as Kaggle does not publish these prices: `fold` gives a split with prices.

    Raises:
      InputError: one of the two files is missing, or a file is garbled.
    """
    for spot in (folder, folder / "tabular"):
        for stem in STEMS:
            paths = [spot / f"{stem}_{split}.csv" for split in ("train", "test")]
            there = [path.is_file() for path in paths]
            if all(there):
                return _houses(*map(read_csv, paths), source=f"csv files in {spot}")
            if any(there):
                raise InputError(f"{spot} lacks {paths[there.index(False)].name}; both csv files are needed")
    return None


def no_houses(folder: Path) -> InputError:
    """The error for a folder in which `read_houses` finds nothing."""
    return InputError(f"{folder} holds no houses; kaggle_house_train.csv and _test.csv are needed")


def fetch_houses() -> Path:
    """Downloads both files into `download_folder()` and returns the folder; InputError where that fails."""
    folder = download_folder() / "tabular"
    for name, sha256 in SHA256.items():
        fetch(name, BOOK_MIRRORS, sha256, folder)
    return folder


def _houses(train: Table, test: Table, source: str) -> Dataset:
    names = [name for name in train.columns if name not in (ID, PRICE)]
    if PRICE not in train.columns or not names:
        raise InputError(f"{train.path} has no column {PRICE} with features beside it")
    if names != [name for name in test.columns if name != ID]:
        raise InputError(f"{test.path} must have the columns of {train.path.name} except {PRICE}, in order")
    X = features([train.columns[name] + test.columns[name] for name in names])
    n = len(train.columns[PRICE])
    y = _log_price(train)
    unknown = np.full((len(X) - n, 1), np.nan, np.float32)
    return Dataset("houses", (X[:n], y), (X[n:], unknown), source)


def features(columns: list[list[str]]) -> np.ndarray:
    """The table of both splits, joined, as a matrix of features.

    The columns of numbers come first, standardised, in file order; then those of text, one-hot, in file
    order, as pandas.get_dummies(dummy_na=True) lays them out.

    Returns:
      float32 (rows of both splits, features).
    """
    parsed = [numbers(cells) for cells in columns]
    left = [standardised(column)[:, None] for column in parsed if column is not None]
    right = [one_hot(cells) for cells, column in zip(columns, parsed, strict=True) if column is None]
    return np.concatenate(left + right, axis=1).astype(np.float32)


def _log_price(train: Table) -> np.ndarray:
    price = numbers(train.columns[PRICE])
    if price is None or not (price > 0).all() or not np.isfinite(price).all():
        raise InputError(f"{train.path} has a {PRICE} that is no positive number")
    return np.log(price).astype(np.float32)[:, None]
