"""The regression on airfoils: its data, and the losses of the book's table."""

import importlib.util
import os
import statistics
from pathlib import Path

import numpy as np
import pytest

from d2l_jax.catalog import get
from d2l_jax.data import load
from d2l_jax.data.tables.airfoil import FILE, drawn_airfoil, prepared
from d2l_jax.errors import InputError
from d2l_jax.runs.choice import choose_data

PROGRAM = Path(__file__).parents[2] / "docs" / "programs" / "airfoil.py"


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location("airfoil_table", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def airfoil():
    folder = os.environ.get("D2L_DATA", "")
    if not any((Path(folder) / place / FILE).is_file() for place in ("", "tabular")):
        pytest.skip("no measurements in D2L_DATA")
    return load("airfoil")


# Its steps are ten times as long as the rate says, so that its loss goes up and down by as much.
NOISY = {"airfoil-momentum-fast": 0.0075}
FAST = ["airfoil-yogi", "airfoil-minibatch-concise"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_the_books_loss(name, program, airfoil):
    compare(name, 3, program, airfoil)


@pytest.mark.slow
def test_every_loss_of_the_books_table(program, airfoil):
    assert len(program.AIRFOIL) == 18
    for case in program.AIRFOIL:
        compare(case.name, 5, program, airfoil)


def compare(name, seeds, program, airfoil):
    loss = statistics.median(program.final_losses(get(name), airfoil, seeds))
    assert abs(loss - program.BOOK[name]["test_loss"]) < NOISY.get(name, 0.005)


def test_control_a_tenth_of_the_rate_is_noticed(program, airfoil):
    slow = get("airfoil-gd")
    slow = slow.with_turn(optimizer=type(slow.turn.optimizer)(slow.turn.optimizer, lr=0.1))
    (loss,) = program.final_losses(slow, airfoil, 1)
    assert abs(loss - program.BOOK[slow.name]["test_loss"]) > 0.005


def test_the_table_is_of_every_case_and_the_drawn_data_has_its_form(program):
    assert program.BOOK.keys() >= {case.name for case in program.AIRFOIL}
    data = drawn_airfoil()
    X, y = data.train
    assert X.shape == (1500, 5) and y.shape == (1500, 1) and X.dtype == y.dtype == np.float32
    assert data.test[0] is X  # the book measures on what it trains on
    assert abs(program.final_losses(get("airfoil-adam"), data, 1)[0] - 0.235) < 0.03


def test_every_column_is_standardised_over_all_rows():
    table = np.arange(1501.0)[:, None] * np.arange(1, 7) + 5
    X, y = prepared(table, "name", "source").train
    np.testing.assert_allclose(X[:, 2], (np.arange(1500) - 750) / np.arange(1501).std(), rtol=1e-6)
    np.testing.assert_allclose(y[:, 0], X[:, 0], rtol=1e-6)


def rows(number, row="1\t2\t3\t4\t5\t6"):
    return "\n".join([row] * number)


@pytest.mark.parametrize(
    "text, line",
    [
        (rows(1499), "holds 1499 rows; 1500 at least are right"),
        (rows(3) + "\n1\t2", "row 4: 2 numbers; 6, with tabs between, are right"),
        (rows(3, "1\ttwo\t3\t4\t5\t6"), "is no table of numbers: could not convert string to float: 'two'"),
    ],
)
def test_a_garbled_file_says_what_is_wrong(tmp_path, text, line):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InputError) as error:
        load("airfoil", source=tmp_path)
    assert line in str(error.value)


def test_a_folder_without_the_file_says_what_is_needed(tmp_path):
    with pytest.raises(InputError, match=f"holds no airfoils; {FILE} is needed"):
        load("airfoil", source=tmp_path)


def test_a_run_takes_a_folder_that_holds_airfoils_alone(tmp_path):
    (tmp_path / FILE).write_text(rows(1499) + "\n2\t1\t1\t1\t1\t1\n1\t2\t2\t2\t2\t2")
    assert choose_data(get("airfoil-adam"), str(tmp_path)).name == "airfoil"
    with pytest.raises(InputError, match="holds no airfoils"):
        choose_data(get("airfoil-adam"), str(tmp_path.parent))
    with pytest.raises(InputError, match="holds no houses"):
        choose_data(get("linear-regression"), str(tmp_path))
