"""MovieLens-100K and drawn ratings: splits, items to rank, windows, and what is refused."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from d2l_jax.data import load
from d2l_jax.data.find.ratings import ML100K, drawn, read_ml100k
from d2l_jax.data.ratings.ml100k import parse_ratings, read_ratings
from d2l_jax.data.ratings.rating_sets import item_rows, rankings, sequences
from d2l_jax.data.ratings.ratings import Ratings, check_numbers, split_by_time, split_randomly, unrated
from d2l_jax.errors import InputError

REAL = Path(os.environ.get("D2L_DATA", "")) / "ml-100k"
LINES = ["2\t3\t5\t30", "1\t1\t4\t10", "1\t2\t3\t20", "2\t1\t1\t10", "1\t4\t2\t20", "2\t4\t3\t5"]


def few() -> Ratings:
    return parse_ratings(LINES, "a toy", num_items=5)


def drawn_table() -> Ratings:
    return parse_ratings([f"{user}\t{item}\t3\t1" for user in range(1, 13) for item in range(1, 21)], "a toy")


def long() -> Ratings:
    """User 1 has rated eight items, user 2 three."""
    rated = [(1, item, item) for item in range(1, 9)] + [(2, item, 9 - item) for item in (2, 5, 7)]
    return parse_ratings([f"{user}\t{item}\t4\t{time}" for user, item, time in rated], "a toy", num_items=12)


def test_lines_become_ratings():
    ratings = few()
    assert ratings.users.tolist() == [1, 0, 0, 1, 0, 1] and ratings.items.tolist() == [2, 0, 1, 0, 3, 3]
    assert (ratings.num_users, ratings.num_items) == (2, 5)
    assert ratings.matrix().T.tolist() == [[4, 3, 0, 2, 0], [1, 0, 5, 3, 0]]


def test_the_last_rating_is_held_out_the_first_in_the_file_of_several():
    train, test = split_by_time(few())
    assert (test.users.tolist(), test.items.tolist()) == ([0, 1], [1, 2])
    assert (train.users.tolist(), train.items.tolist()) == ([0, 0, 1, 1], [0, 3, 3, 0])


def test_a_random_split_is_the_same_each_time_and_parts_all():
    parts = split_randomly(drawn_ratings := drawn_table())
    again = split_randomly(drawn_ratings)
    assert np.array_equal(parts.train.items, again.train.items) and 8 < len(parts.test.users) < 44
    assert len(parts.train.users) + len(parts.test.users) == 240
    assert not np.array_equal(parts.test.users, split_randomly(drawn_ratings, seed=1).test.users)


def test_the_items_that_are_left_come_in_order():
    assert unrated(few().seen()).tolist() == [[2, 4], [1, 4]]
    assert unrated(np.array([[True, False, True], [False, False, True]])).tolist() == [[1, -1], [0, 1]]
    with pytest.raises(InputError, match="user 2 has rated every item"):
        unrated(np.array([[False, True], [True, True]]))


def test_the_book_draws_from_what_is_neither_trained_on_nor_held_out():
    book, right = rankings(few(), "toy"), rankings(few(), "toy", corrected=True)
    assert book.pool is not None and book.pool.tolist() == [[2, 4], [1, 4]]
    assert right.pool is not None and right.pool.tolist() == [[1, 2, 4], [1, 2, 4]]
    for data in (book, right):
        (users, items), others = data.test
        assert users.tolist() == [0, 1] and items.tolist() == [1, 2] and others.tolist() == [[2, 4], [1, 4]]
        drawn_items = data.train[1][:, 0]
        pool = data.pool
        assert pool is not None and all(item in pool[user] for item, user in zip(drawn_items, data.train[0][0]))
    assert book.kind == "ranking" and book.rows == (2, 5)


def test_windows_end_before_the_item_that_is_to_be_found():
    data = sequences(long(), "toy", window=3)
    users, before, items = data.train[0]
    assert users.tolist() == [0] * 4 and items.tolist() == [3, 4, 5, 6]
    assert before.tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]
    users, before, items = data.test[0]
    assert (users.tolist(), before.tolist(), items.tolist()) == ([0], [[4, 5, 6]], [7])
    assert data.test[1].shape == (1, 9) and data.test[1][0].tolist() == [8, 9, 10, 11, *[-1] * 5]
    with pytest.raises(InputError, match="no user has 9 ratings: 7 in a row, one to train and one to test on"):
        sequences(long(), "toy", window=7)


def test_the_rows_of_items_hide_what_is_tested():
    ratings = parse_ratings([f"{u}\t{i}\t{1 + (u + i) % 5}\t1" for u in range(1, 9) for i in range(1, 31)], "a toy")
    data = item_rows(ratings, "toy")
    (known, same), (inputs, hidden) = data.train, data.test
    assert np.array_equal(known, same) and np.array_equal(known, inputs) and known.shape == (30, 8)
    assert not (known * hidden).any() and np.array_equal(known + hidden, ratings.matrix()) and hidden.any()


@pytest.mark.skipif(not REAL.is_dir(), reason="D2L_DATA holds no MovieLens-100K")
def test_the_counts_of_the_book():
    ratings = read_ratings(REAL)
    assert ratings and (len(ratings.users), ratings.num_users, ratings.num_items) == (100_000, 943, 1682)
    assert ratings.titles[0] == "Toy Story (1995)"
    parts = split_by_time(ratings)
    assert (len(parts.train.users), len(parts.test.users)) == (99_057, 943)
    assert len(split_randomly(ratings).train.users) == 89_979
    assert len(sequences(ratings, "windows").train[1]) == 94_342


def test_a_folder_and_a_zip_are_read_alike(tmp_path: Path):
    (tmp_path / "plain" / "ml-100k").mkdir(parents=True)
    (tmp_path / "plain" / "ml-100k" / "u.data").write_text("\n".join(LINES) + "\n")
    items = "".join(f"{number}|Fil\xe9m {number} (1999)|\n" for number in range(1, 6)).encode("latin-1")
    (tmp_path / "plain" / "ml-100k" / "u.item").write_bytes(items)
    with zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as archive:
        for name in ("u.data", "u.item"):
            archive.write(tmp_path / "plain" / "ml-100k" / name, f"ml-100k/{name}")
    first, second = (read_ml100k(folder, "ml100k") for folder in (tmp_path / "plain", tmp_path))
    assert first and second and np.array_equal(first.train[1], second.train[1])
    assert first.titles[4] == second.titles[4] == "Fil\xe9m 5 (1999)" and second.rows == (2, 5)
    assert load("ML-100K", source=tmp_path).name == "ml100k"
    with pytest.raises(InputError, match=r"holds no MovieLens-100K; ml-100k.zip, or a folder ml-100k with u.data"):
        load("ml100k", source=empty(tmp_path))


def empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (
            ["1\t2\t3"],
            "line 1 is no rating: '1.t2.t3'; user, item, rating and time, whole numbers with tabs between, are",
        ),
        (["1\t2\t3\t4", "1\tx\t3\t4"], "line 2 is no rating"),
        (["1\t2\t3\t4", "1\t2\t6\t4"], "line 2: rating 6; one from 1 to 5 is right"),
        (["1\t2\t0\t4"], "line 1: rating 0; one from 1 to 5 is right"),
        (["1\t2\t3\t4", "8\t2\t3\t4"], "line 2: user 8; one from 1 to 7 is right"),
        (["1\t0\t3\t4"], "line 1: item 0; one from 1 to 9 is right"),
        (["1\t2\t3\t99999999999999999999"], "line 1 is no rating"),
        ([], "u.data holds no rating"),
        (
            ["1\t2\t3\t4", "2\t1\t3\t4", "1\t2\t5\t9", "2\t1\t3\t4"],
            "line 3: user 1 has rated item 2 in line 1 already; one rating of each pair, as the latest, is right",
        ),
    ],
)
def test_lines_that_are_refused(lines: list[str], wrong: str):
    with pytest.raises(InputError, match=wrong):
        parse_ratings(lines, "here", num_users=7, num_items=9)


def test_items_out_of_order_are_refused(tmp_path: Path):
    (tmp_path / "u.data").write_text("\n".join(LINES) + "\n")
    (tmp_path / "u.item").write_text("1|One|\n3|Three|\n2|Two|\n")
    with pytest.raises(InputError, match=r"u.item, line 2 is not item 2: '3.Three.'"):
        read_ratings(tmp_path)
    told = "user 3000000000; one from 1 to 1000000 is right, or u.user with a line for each"
    with pytest.raises(InputError, match=told):
        parse_ratings(["3000000000\t1\t5\t0"], "here")
    with pytest.raises(InputError, match="item 0; one from 1 to 9 is right$"):
        parse_ratings(["1\t9\t5\t0", "2\t0\t5\t0"], "here")


def test_numbers_and_splits_that_are_refused():
    check_numbers(np.array([0, 6]), np.array([8, 0]), 7, 9)
    with pytest.raises(InputError, match="user 8 is not in the table; a number from 1 to 7 is right"):
        check_numbers(np.array([0, 7]), np.array([0, 0]), 7, 9)
    with pytest.raises(InputError, match="item 0 is not in the table; a number from 1 to 9 is right"):
        check_numbers(np.array([0]), np.array([-1]), 7, 9)
    with pytest.raises(InputError, match="user 2 has 1 ratings"):
        split_by_time(parse_ratings(["1\t1\t4\t1", "1\t2\t4\t1", "2\t1\t4\t1"], "a toy"))
    with pytest.raises(InputError, match="a test ratio of 1; a number between 0 and 1"):
        split_randomly(few(), 1)


def test_drawn_ratings_come_in_every_form_and_are_the_same_for_a_seed():
    for name in ML100K:
        data = load(name.replace("ml100k", "drawn_ratings"))
        assert data.rows == (200, 300) and data.examples >= 300
    assert np.array_equal(drawn(3).train[1], drawn(3).train[1])
    assert not np.array_equal(drawn(3).train[1], drawn(4).train[1])
