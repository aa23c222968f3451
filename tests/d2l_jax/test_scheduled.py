"""Rates by epoch: the book's with its lag, the corrected ones, and the same on both sides of a run."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from d2l_jax import optim
from d2l_jax.catalog import get
from d2l_jax.data import Dataset, batch_order
from d2l_jax.data.tables.airfoil import drawn_airfoil
from d2l_jax.errors import InputError
from d2l_jax.optim import ByEpoch, CosineScheduler
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.learner import JaxLearner
from d2l_jax.runs.settings import settings
from parity.sides.learner import TorchLearner

WARM_UP = partial(CosineScheduler, 20, base_lr=0.3, final_lr=0.01, warmup_steps=5)
EPOCHS = {
    "scheduled-lenet": [0.3] * 7,
    "scheduled-lenet-square-root": [0.1, 0.1, 0.070711, 0.057735, 0.05, 0.044721],
    "scheduled-lenet-multi-step": [0.125] * 31,
    "scheduled-lenet-multi-step-corrected": [0.5] * 15 + [0.25] * 15 + [0.125] * 5,
    "scheduled-lenet-cosine": [0.3, 0.3, 0.298215, 0.292903, 0.284196],
    "scheduled-lenet-warm-up": [0.3, 0.0, 0.06, 0.12, 0.18, 0.24, 0.3, 0.296831],
    "scheduled-lenet-warm-up-corrected": [0.0, 0.06, 0.12, 0.18, 0.24, 0.3, 0.296831],
    "scheduled-bn-lenet": [0.3, 0.298215, 0.292903, 0.284196],
}


SECOND = {  # section 9.8 of the second edition: counts, and rates there
    "factor": (
        optim.FactorScheduler(0.9, 0.01, 0.3, second_edition=True),
        {0: 0.3, 1: 0.27, 2: 0.243, 10: 0.10460353203, 40: 0.01},
    ),
    "cosine": (
        CosineScheduler(30, 0.3, 0.01, warmup_steps=5, second_edition=True),
        {0: 0.06, 1: 0.12, 3: 0.24, 4: 0.3, 5: 0.3, 6: 0.29885663169, 29: 0.01114336831, 30: 0.01},
    ),
    "plateau": (
        optim.WSDScheduler(30, 6, 0.3, 0.01, 5),
        {0: 0.06, 4: 0.3, 5: 0.3, 23: 0.3, 24: 0.25166666667, 26: 0.155, 29: 0.01, 30: 0.01},
    ),
    "a fall alone": (optim.WSDScheduler(6, 6, 0.3, 0.01), {0: 0.25166666667, 2: 0.155, 5: 0.01}),
}


@pytest.mark.parametrize("name", SECOND)
def test_the_second_editions_schedules(name):
    schedule, rates = SECOND[name]
    np.testing.assert_allclose([schedule(count) for count in rates], list(rates.values()), atol=1e-10)


def test_a_fall_of_no_counts_is_refused():
    with pytest.raises(InputError, match="decay_steps 0 in 24 counts where at least 0 and 1"):
        optim.WSDScheduler(24, 0, 0.3, warmup_steps=5)


def rate(case, count):
    lr = case.turn.optimizer.keywords["lr"]
    return float(lr(count) if callable(lr) else lr)


@pytest.mark.parametrize("name", EPOCHS)
def test_the_rate_of_every_epoch_in_the_book_and_corrected(name):
    case = get(name)
    rates = [rate(case, 235 * epoch) for epoch in range(len(EPOCHS[name]))]
    np.testing.assert_allclose(rates, EPOCHS[name], atol=6e-7)
    assert rate(case, 234) == rate(case, 0)


def small(lr):
    """Returns a regression of 3 epochs with that rate, and its data, of which an epoch has 4 batches."""
    X, y = (array[:35] for array in drawn_airfoil().train)
    case = replace(get("airfoil-minibatch"), epochs=3)
    return case.with_turn(optimizer=partial(optim.SGD, lr=lr)), Dataset("few", (X, y), (X, y), "drawn")


def losses(learner, case, data):
    records = []

    def order(epoch):
        return batch_order(data.examples, case.batch_size, seed=0, epoch=epoch)

    hear = (lambda event: event.means and records.append(event.means.test["loss"]),)
    learner(case, 0).fit(data, order, range(1, case.epochs + 1), hear)
    return records


def test_a_run_counts_the_updates_of_its_own_epochs_and_the_twin_follows():
    case, data = small(ByEpoch(WARM_UP, first=0.3))
    case = fitted(case, data)
    assert case.turn.optimizer.keywords["lr"].updates == 4
    ours = losses(JaxLearner, case, data)
    np.testing.assert_allclose(ours, losses(TorchLearner, case, data), rtol=1e-5)
    assert ours[1] == ours[0]  # the rate of epoch 1 is 0
    constant = losses(JaxLearner, *small(0.3))
    assert constant[0] == pytest.approx(ours[0]) and abs(constant[1] - ours[1]) > 1e-4  # the control


def test_a_resumed_run_recognises_its_schedule():
    case, data = small(ByEpoch(WARM_UP, first=0.3, updates=4))
    said = "CosineScheduler(20, base_lr=0.3, final_lr=0.01, warmup_steps=5) by epochs of 4 updates, one late after 0.3"
    assert settings(case, data, 0, "jax")["lr"] == said
    assert str(ByEpoch(optim.SquareRootScheduler)) == "SquareRootScheduler() by epochs of 235 updates"


def test_an_epoch_without_updates_is_refused():
    with pytest.raises(InputError, match="an epoch of 0 updates where at least 1 is right"):
        ByEpoch(WARM_UP, updates=0)(0)
