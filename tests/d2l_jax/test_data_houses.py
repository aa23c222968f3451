"""House prices: the matrix that pandas would make, and what a garbled file gives."""

from pathlib import Path

import numpy as np
import pytest
from data_toy import REAL, alone_fixture, needs_real  # noqa: F401

from d2l_jax.data import fold, load
from d2l_jax.data.tables.table import one_hot, standardised
from d2l_jax.errors import InputError

TRAIN = "Id,Area,Street,Pool,SalePrice\n1,10,Pave,NA,100\n2,20,Grvl,NA,200\n3,NA,Pave,Ex,400\n"
TEST = "Id,Area,Street,Pool\n4,40,None,NA\n5,50,Dirt,NA\n"


def write_houses(folder: Path, train: str = TRAIN, test: str = TEST, stem: str = "kaggle_house") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}_train.csv").write_text(train)
    (folder / f"{stem}_test.csv").write_text(test)
    return folder


@pytest.mark.parametrize("layout", ["", "tabular"])
@pytest.mark.parametrize("stem", ["kaggle_house", "kaggle_house_pred"])
def test_toy_by_hand(tmp_path: Path, layout: str, stem: str):
    write_houses(tmp_path / layout, stem=stem)
    data = load("houses", source=tmp_path)
    area = np.array([10, 20, 40, 50])
    z = (area - 30) / area.std(ddof=1)
    expected = [  # Area, Street: Dirt Grvl Pave missing, Pool: Ex missing
        [z[0], 0, 0, 1, 0, 0, 1],
        [z[1], 0, 1, 0, 0, 0, 1],
        [0.00, 0, 0, 1, 0, 1, 0],
        [z[2], 0, 0, 0, 1, 0, 1],
        [z[3], 1, 0, 0, 0, 0, 1],
    ]
    inputs = np.concatenate([data.train[0], data.test[0]])
    assert inputs.dtype == np.float32 and np.array_equal(inputs, np.array(expected, np.float32))
    assert np.array_equal(data.train[1], np.log([[100], [200], [400]]).astype(np.float32))
    assert data.test[1].shape == (2, 1) and np.isnan(data.test[1]).all()


def test_constant_and_empty_columns_become_zero():
    assert np.array_equal(standardised(np.array([3.0, 3, np.nan])), np.zeros(3))
    assert np.array_equal(standardised(np.array([np.nan, np.nan])), np.zeros(2))
    assert one_hot(["b", "", "a"]).tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


@needs_real("tabular")
def test_real_houses_equal_pandas():
    """The figures are those of the book's own preprocessing, run once with pandas 3.1.1: equal to the bit."""
    data = load("houses", source=REAL)
    X, y = data.train
    assert X.shape == (1460, 330) and data.test[0].shape == (1459, 330) and y.shape == (1460, 1)
    assert X.dtype == y.dtype == np.float32
    every = np.concatenate([X, data.test[0]]).astype(np.float64)
    assert every.sum() == pytest.approx(125516.99966235828, abs=1e-6)
    assert (every**2).sum() == pytest.approx(229887.00006190222, abs=1e-6)
    assert every.sum(0) @ np.arange(330) == pytest.approx(23785104.99478255, abs=1e-4)  # columns in place
    assert every.sum(1) @ np.arange(2919) == pytest.approx(181470712.9597237, abs=1e-4)  # rows in place
    first = [0.06731988, -0.18444261, -0.21784137, 0.6460727, -0.5071973]
    assert np.allclose(X[0, :5], first, rtol=1e-6)
    assert np.allclose(y[:3, 0], [12.247694, 12.109011, 12.317166], rtol=1e-7)
    assert (every[:, 36:].sum(1) == 43).all()  # 43 text columns, one mark in each


@needs_real("tabular")
def test_real_houses_fold(alone: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("D2L_DATA", str(REAL))
    data = load(kind="tabular")
    assert data.name == "houses"
    part = fold(data, 5, 0)
    assert part.test[0].shape == (292, 330) and np.isfinite(part.test[1]).all()


GARBLED = {
    "short row": (dict(train=TRAIN + "4,5"), "row 5: 2 cells; the header has 5"),
    "no rows": (dict(train=TRAIN.splitlines()[0]), "holds no data"),
    "empty": (dict(test=""), "holds no data"),
    "price missing": (dict(train=TRAIN.replace(",400", ",NA")), "SalePrice that is no positive number"),
    "price a word": (dict(train=TRAIN.replace(",400", ",dear")), "SalePrice that is no positive number"),
    "price zero": (dict(train=TRAIN.replace(",400", ",0")), "SalePrice that is no positive number"),
    "no price": (dict(train=TRAIN.replace("SalePrice", "Price")), "has no column SalePrice"),
    "other columns": (dict(test=TEST.replace("Pool", "Porch")), "must have the columns of"),
    "column twice": (dict(test=TEST.replace("Pool", "Area")), "names a column twice"),
    "web page": (dict(train="<html>\n<body>not, found</body>"), "row 2: 2 cells"),
    "open quote": (dict(train=TRAIN + '"4,5'), "is no csv file"),
}


@pytest.mark.parametrize("case", GARBLED)
def test_garbled(tmp_path: Path, case: str):
    texts, message = GARBLED[case]
    write_houses(tmp_path, **texts)
    with pytest.raises(InputError, match=message) as error:
        load("houses", source=tmp_path)
    assert str(tmp_path) in str(error.value)


def test_not_text(tmp_path: Path):
    write_houses(tmp_path)
    (tmp_path / "kaggle_house_train.csv").write_bytes(b"\xff\xfe\x00\x81" * 50)
    with pytest.raises(InputError, match="is no csv file"):
        load("houses", source=tmp_path)


def test_one_of_two_files_is_missing(tmp_path: Path):
    write_houses(tmp_path)
    (tmp_path / "kaggle_house_test.csv").unlink()
    with pytest.raises(InputError, match="lacks kaggle_house_test.csv"):
        load("houses", source=tmp_path)


def test_not_found(alone: Path):
    with pytest.raises(InputError, match="houses was not found"):
        load("houses")
