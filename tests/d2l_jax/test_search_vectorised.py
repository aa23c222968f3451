"""Chapter 19: many learning rates at once are the single runs."""

from dataclasses import replace

import numpy as np
import pytest

from d2l_jax.catalog import get
from d2l_jax.data import load
from d2l_jax.errors import InputError
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.options import Options
from d2l_jax.search.case_objective import CaseObjective
from d2l_jax.search.vectorised import errors_by_rate

pytestmark = pytest.mark.usefixtures("quick_compilation")


def both(name: str, data: str, rates: list[float], batch_size: int, **args) -> tuple[np.ndarray, np.ndarray]:
    """The errors of all rates at once, and of one run after another, each (epochs, rates)."""
    objective = CaseObjective(Options(name, data=data, epochs=2, batch_size=batch_size))
    together = errors_by_rate(*objective.prepared(args), rates)
    singly = []
    for rate in rates:
        errors: list[float] = []
        objective({**args, "lr": float(np.float32(rate))}, errors.append)
        singly.append(errors)
    return together, np.asarray([[*errors, np.nan][:2] for errors in singly]).T


@pytest.mark.slow
def test_losses_of_many_rates_are_those_of_single_runs_and_a_lane_that_diverges_harms_no_other():
    together, singly = both("linear-regression", "synthetic", [0.003, 0.03, 1e20], batch_size=100)
    assert together[:, :2] == pytest.approx(singly[:, :2], rel=1e-4) and together[0, 0] != together[0, 1]
    assert np.isnan(together[:, 2]).all() and np.isnan(singly[:, 2]).all()


@pytest.mark.slow
def test_errors_with_momentum_are_those_of_single_runs():
    together, singly = both("softmax", "digits", [0.01, 0.1], batch_size=256, momentum=0.5)
    assert together == pytest.approx(singly, abs=2 / 360)  # two images of the test split may be close to the border


def test_control_another_rate_is_another_error():
    data = load("digits", resize=None)
    case = fitted(replace(get("softmax"), epochs=1).of_batch_size(256), data)
    errors = errors_by_rate(case, data, [0.001, 0.1])
    assert errors.shape == (1, 2) and abs(errors[0, 0] - errors[0, 1]) > 0.1


@pytest.mark.parametrize("rates", [[], [0.0], [float("nan")]])
def test_rates_that_are_none_are_refused(rates):
    with pytest.raises(InputError, match="one or more numbers above 0 are right"):
        errors_by_rate(get("softmax"), load("digits"), rates)
