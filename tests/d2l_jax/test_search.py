"""Chapter 19: search spaces, schedulers and the tuner's bookkeeping, on objectives of one line."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2l_jax.errors import InputError
from d2l_jax.search import (
    AshaScheduler,
    BasicScheduler,
    Choice,
    LogUniform,
    RandInt,
    RandomSearcher,
    SuccessiveHalvingScheduler,
    Tuner,
    space_of,
)
from d2l_jax.search.scheduler import rung_levels
from d2l_jax.search.space import sample

# The specification's golden trace: eta 2, 2 to 10 epochs, ids in the order of drawing, two rounds.
ROUND = [(7, 2), (6, 2), (5, 2), (4, 2), (3, 2), (2, 2), (1, 2), (0, 2)]
ROUND += [(7, 4), (2, 4), (5, 4), (0, 4), (5, 8), (0, 8), (0, 10)]
SECOND = [(15, 2), (14, 2), (13, 2), (12, 2), (11, 2), (10, 2), (9, 2), (8, 2)]
SECOND += [(15, 4), (10, 4), (13, 4), (8, 4), (13, 8), (8, 8), (8, 10)]


class Counting:
    """Draws 0, 1, 2 ..."""

    def __init__(self):
        self.next = 0

    def sample_configuration(self):
        self.next += 1
        return {"id": self.next - 1}

    def update(self, config, error, additional_info=None):
        pass


def golden_error(config):
    return (5 * config["id"] % 8) / 10 - 0.01 * config["max_epochs"]


def traced(scheduler):
    """Runs two rounds; returns the tuner, and (id, epochs) of every trial."""
    trials = []

    def objective(config, report):
        trials.append((config["id"], config["max_epochs"]))
        report(golden_error(config))

    tuner = Tuner(scheduler, objective)
    tuner.run(30)
    return tuner, trials


def test_successive_halving_is_the_golden_trace():
    scheduler = SuccessiveHalvingScheduler(Counting(), eta=2, r_min=2, r_max=10)
    tuner, trials = traced(scheduler)
    assert scheduler.rung_levels == [2, 4, 8, 10] and scheduler.K == 3
    assert trials == ROUND + SECOND
    assert tuner.incumbent == {"id": 0, "max_epochs": 10} and tuner.incumbent_error == pytest.approx(-0.1)


def test_control_another_end_of_the_queue_is_another_trace():
    class Foremost(SuccessiveHalvingScheduler):
        def suggest(self):
            self.queue.reverse()
            return super().suggest()

    assert traced(Foremost(Counting(), eta=2, r_min=2, r_max=10))[1] != ROUND + SECOND


def test_halving_waits_for_a_rung_that_runs_and_counts_the_lost_as_the_worst():
    scheduler = SuccessiveHalvingScheduler(Counting(), eta=2, r_min=1, r_max=4)
    running = [scheduler.suggest() for _ in range(4)]
    assert scheduler.suggest() is None
    for config, error in zip(running, [math.nan, math.inf, 0.4, 0.3]):
        scheduler.update(config, error)
    assert [scheduler.suggest()["id"] for _ in range(2)] == [1, 0]  # ids 3, 2, 1, 0 were taken in this order


def test_rungs_are_exact_where_logarithms_are_not():
    assert rung_levels(3, 1, 243) == [1, 3, 9, 27, 81, 243]
    assert math.floor(math.log(243) / math.log(3)) == 4  # what the formula would say


@pytest.mark.parametrize("arguments", [(1, 1, 4), (2, 4, 4), (2, 0, 4), (2, 1.5, 4), (2, 8, 4)])
def test_rungs_that_are_none_are_refused(arguments):
    with pytest.raises(InputError, match="give no rungs"):
        rung_levels(*arguments)


def test_asha_stops_who_is_not_among_the_best_of_a_rung():
    asha = AshaScheduler(Counting(), eta=2, r_min=2, r_max=10)
    assert list(asha.rungs) == [2, 4, 8]
    assert asha.goes_on(0, 1, 0.9) and asha.goes_on(0, 2, 0.5)  # no rung; the first at one
    assert not asha.goes_on(1, 2, 0.6)
    assert asha.goes_on(2, 2, 0.4)
    assert not asha.goes_on(3, 2, math.nan)
    assert asha.goes_on(4, 2, 0.45)
    assert asha.goes_on(2, 2, 0.4) and len(asha.rungs[2]) == 5  # repeated after a stop, it counts once


@given(st.floats(1e-8, 1e3), st.floats(1.001, 1e6), st.integers(0, 99))
def test_a_log_uniform_draw_is_inside(low, factor, number):
    domain = LogUniform(low, low * factor)
    drawn = sample({"lr": domain}, 0, number)["lr"]
    assert domain.low <= drawn <= domain.high and domain.holds(drawn)
    assert space_of([f"lr=loguniform({low!r},{low * factor!r})"]) == {"lr": domain}


@given(st.integers(-50, 50), st.integers(1, 50), st.integers(0, 99))
def test_a_whole_draw_is_inside(low, width, number):
    drawn = sample({"size": RandInt(low, low + width)}, 1, number)["size"]
    assert isinstance(drawn, int) and low <= drawn < low + width


@given(st.lists(st.integers() | st.text("abc", min_size=1), min_size=1, unique=True), st.integers(0, 99))
def test_a_choice_is_one_of_its_options(options, number):
    assert sample({"x": Choice(tuple(options))}, 2, number)["x"] in options
    assert space_of([f"x={Choice(tuple(options))}"]) == {"x": Choice(tuple(options))}


def test_logarithms_are_uniform():
    draws = np.log10([sample({"lr": LogUniform(1e-4, 1)}, 0, n)["lr"] for n in range(2000)])
    assert np.histogram(draws, bins=4, range=(-4, 0))[0] == pytest.approx([500] * 4, rel=0.15)


WRONG = [
    ("lr=loguniform(1,0.01)", "has no numbers in it; bounds with 0 < low < high"),
    ("lr=loguniform(0,1)", "has no numbers in it"),
    ("lr=loguniform(0.1,inf)", "has no numbers in it"),
    ("lr=loguniform(nan,1)", "has no numbers in it"),
    (f"lr=loguniform(1,{'9' * 400})", "has no numbers in it"),
    (f"n=randint(1,{'9' * 400})", "has bounds that are not whole"),
    ("lr=loguniform(0.1)", "has not two numbers as bounds"),
    ("lr=loguniform(a,b)", "has not two numbers as bounds"),
    ("n=randint(4,4)", "whole bounds of 64 bits with low < high"),
    ("n=randint(8,4)", "whole bounds of 64 bits with low < high"),
    ("n=randint(1.5,4)", "are not whole"),
    ("n=randint(1,inf)", "are not whole"),
    ("n=choice()", "is no choice"),
    ("n=choice(1,1)", "is no choice"),
    ("n=uniform(0,1)", "is no hyperparameter"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_domain_without_values_is_refused_in_one_line(text, said):
    with pytest.raises(InputError, match="^[^\n]+$") as error:
        space_of([text])
    assert said in str(error.value)


def test_an_empty_space_a_name_twice_and_a_foreign_first_are_refused():
    with pytest.raises(InputError, match="search space is empty"):
        RandomSearcher({})
    with pytest.raises(InputError, match="lr is twice"):
        space_of(["lr=loguniform(0.1,1)", "lr=choice(1,2)"])
    with pytest.raises(InputError, match=r"the first lr is 2, which is not in loguniform\(0.1,1\)"):
        RandomSearcher({"lr": LogUniform(0.1, 1)}, {"lr": 2})
    with pytest.raises(InputError, match="the same are right"):
        RandomSearcher({"lr": LogUniform(0.1, 1)}, {"rate": 0.5})


SPACE = {"lr": LogUniform(1e-2, 1), "batch_size": RandInt(32, 256)}


def test_the_tuner_keeps_the_incumbent_its_trajectory_and_the_runtime():
    errors = iter([0.5, math.nan, 0.7, 0.2])
    searcher = RandomSearcher(SPACE, {"lr": 0.1, "batch_size": 128})
    tuner = Tuner(BasicScheduler(searcher), lambda config, report: report(next(errors)))
    tuner.run(1)
    assert tuner.incumbent == {"lr": 0.1, "batch_size": 128}
    tuner.run(3)
    assert [point.error for point in tuner.incumbent_trajectory] == [0.5, 0.5, 0.5, 0.2]
    assert tuner.incumbent == sample(SPACE, 0, 3) and tuner.incumbent_error == 0.2
    assert tuner.cumulative_runtime == sorted(tuner.cumulative_runtime) and len(tuner.cumulative_runtime) == 4


def test_an_objective_without_a_report_is_refused():
    with pytest.raises(InputError, match="reported no error"):
        Tuner(BasicScheduler(RandomSearcher(SPACE)), lambda config, report: None).run(1)
