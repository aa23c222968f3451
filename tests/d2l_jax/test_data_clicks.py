"""Clicks: rare and unseen values, offsets, the book's files, films, and the AUC."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from d2l_jax.data import load
from d2l_jax.data.ratings.clicks import parse_clicks, read_ctr, read_film_clicks
from d2l_jax.data.ratings.fields import learn_fields
from d2l_jax.errors import InputError
from d2l_jax.metrics import area_under_curve

DATA = Path(os.environ.get("D2L_DATA", ""))
TRAIN = [f"{i % 2}\t{'b' if i < 4 else 'a'}\t{i}\t10" for i in range(9)]


def columns(*fields: str) -> list[np.ndarray]:
    return [np.array(field.split()) for field in fields]


def test_frequent_values_are_numbered_as_text_and_others_share_the_last_number():
    fields = learn_fields(columns("9 10 9 10 x", "u u u v w"), ["first", "second"], min_threshold=2)
    assert [known.tolist() for known in fields.values] == [["10", "9"], ["u"]] and fields.counts == (3, 2)
    assert fields.encode(columns("10 9 x new", "u v u u")).tolist() == [[0, 3], [1, 4], [2, 3], [2, 3]]


def test_fields_that_are_refused():
    fields = learn_fields(columns("a a b b", "c c c c"), ["first", "second"], min_threshold=2)
    assert fields.encode(columns("a b", "c c"), rare=False).tolist() == [[0, 3], [1, 3]]
    with pytest.raises(InputError, match="row 2, first: 'z' was never seen; one as a, b is right"):
        fields.encode(columns("a z", "c c"), rare=False)
    with pytest.raises(InputError, match="row 1, rare: 'a' was never seen; no value has a number"):
        learn_fields(columns("a"), ["rare"]).encode(columns("a"), rare=False)
    with pytest.raises(InputError, match="1 fields; 2 are right: first, second"):
        fields.encode(columns("a"))
    with pytest.raises(InputError, match="fields of 2 and of 1 rows; as many of each are right"):
        fields.encode(columns("a b", "c"))


def test_a_folder_and_a_zip_of_the_book_are_read_alike(tmp_path: Path):
    folder = tmp_path / "plain" / "ctr"
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text("\n".join(TRAIN) + "\n")
    (folder / "test.csv").write_text("1\tb\tnew\t10\n0\tnew\t1\t10\n")
    with zipfile.ZipFile(tmp_path / "ctr.zip", "w") as archive:
        for name in ("train.csv", "test.csv"):
            archive.write(folder / name, f"ctr/{name}")
    for data in (read_ctr(tmp_path / "plain"), read_ctr(tmp_path), read_ctr(folder)):
        assert data and data.rows == (3, 1, 2) and data.kind == "clicks"
        assert data.train[0][[0, 4]].tolist() == [[1, 3, 4], [0, 3, 4]]
        assert data.test[0].tolist() == [[1, 3, 4], [2, 3, 4]] and data.test[1].tolist() == [[1], [0]]
    (folder / "test.csv").write_text("1\tb\n")
    with pytest.raises(InputError, match="test.csv has 1 fields; 3, as in train.csv, are right"):
        read_ctr(folder)
    (folder / "test.csv").unlink()
    with pytest.raises(InputError, match="lacks test.csv"):
        read_ctr(folder)
    (folder / "train.csv").unlink()
    with pytest.raises(InputError, match="holds no clicks; ctr.zip, or a folder ctr with train.csv and test.csv"):
        load("ctr", source=tmp_path / "plain")


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (["1\ta\tb", "0\ta"], "line 2 has 2 cells; 3, with '.t' between, are right"),
        (["2\ta"], "line 1 has the label '2'; 0 or 1 is right"),
        (["1"], "line 1 has 1 cells; 2, with '.t' between, are right"),
        ([], "holds no example"),
    ],
)
def test_lines_that_are_refused(lines: list[str], wrong: str):
    with pytest.raises(InputError, match=wrong):
        parse_clicks(lines, "here")


@pytest.mark.skipif(not (DATA / "ctr").is_dir(), reason="D2L_DATA holds no samples of clicks")
def test_published_samples_are_read():
    for name, label, fields in (("criteo", 0, 39), ("avazu", 1, 23)):
        lines = (DATA / "ctr" / f"{name}_sample.txt").read_text().splitlines()
        table = parse_clicks(lines[1:], name, ",", label)
        assert len(table.columns) == fields and 0 < table.labels.mean() < 1


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "ml-100k").is_dir(), reason="D2L_DATA holds no MovieLens-100K")
def test_films_have_26_fields():
    data = read_film_clicks(DATA)
    assert data and (data.examples, data.held_out) == (89_979, 10_021) and len(data.rows) == 26
    assert data.rows[2:4] == (3, 9) and data.rows[5] <= 30 and 0.5 < data.train[1].mean() < 0.6
    starts = np.cumsum((0, *data.rows))
    for X in (data.train[0], data.test[0]):
        assert (starts[:-1] <= X).all() and (starts[1:] > X).all()


def test_films_want_the_fields_of_users_and_items(tmp_path: Path):
    (tmp_path / "u.data").write_text("1\t1\t5\t1\n")
    with pytest.raises(InputError, match="lacks u.user, the fields of clicks"):
        read_film_clicks(tmp_path)
    (tmp_path / "u.user").write_text("1|24|M|technician\n")
    (tmp_path / "u.item").write_text("1|Film (1995)|01-Jan-1995\n")
    with pytest.raises(InputError, match="u.user, line 1 has 4 cells; 5, with . between, are right"):
        read_film_clicks(tmp_path)
    (tmp_path / "u.user").write_text("")
    with pytest.raises(InputError, match="u.user is empty; lines of 5 cells"):
        read_film_clicks(tmp_path)
    (tmp_path / "u.user").write_text("1|24|M|technician|85711\n")
    (tmp_path / "u.item").write_text("1|Film (1995)|01-Jan-1995||" + "|0" * 19 + "\n")
    with pytest.raises(InputError, match="1 ratings leave none to train or to test on"):
        read_film_clicks(tmp_path)


def test_the_auc_is_that_of_all_pairs():
    random = np.random.default_rng(0)
    scores, clicks = random.integers(0, 9, 60), random.integers(0, 2, 60)
    pairs = [(a > b) + (a == b) / 2 for a in scores[clicks == 1] for b in scores[clicks == 0]]
    assert area_under_curve(scores, clicks) == pytest.approx(np.mean(pairs))
    assert area_under_curve(np.zeros(4), np.array([0, 1, 1, 0])) == 0.5
    with pytest.raises(InputError, match="3 of 3 examples are clicks"):
        area_under_curve(np.arange(3), np.ones(3))
