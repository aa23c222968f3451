"""Schedules made of schedules, and a rate that follows figures, beside PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from schedule_runs import COUNTS, make, rates_of, rates_of_scheduler

from d2l_jax import optim
from d2l_jax.errors import InputError

STEPS = ("StepLR", dict(step_size=7, gamma=0.5))
SEQUENCES = [
    ([("ConstantLR", dict(factor=0.1, total_iters=20)), ("ExponentialLR", dict(gamma=0.9))], [20]),
    ([("LinearLR", dict(total_iters=10)), ("CosineAnnealingLR", dict(T_max=90)), STEPS], [10, 60]),
    ([STEPS, ("CosineAnnealingWarmRestarts", dict(T_0=5, T_mult=2)), ("PolynomialLR", dict(total_iters=30))], [9, 50]),
]
CHAINS = [
    [("ConstantLR", dict(factor=0.1, total_iters=20)), ("ExponentialLR", dict(gamma=0.9))],
    [("LinearLR", dict(total_iters=10)), STEPS, ("MultiStepLR", dict(milestones=[30, 31], gamma=0.3))],
    [("PolynomialLR", dict(total_iters=80, power=2.0)), ("ExponentialLR", dict(gamma=1.01))],
]


def of_torch(parts):
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.3)
    return optimizer, [getattr(torch.optim.lr_scheduler, name)(optimizer, **options) for name, options in parts]


@pytest.mark.parametrize("parts, milestones", SEQUENCES, ids=str)
def test_one_after_the_other(parts, milestones):
    optimizer, schedulers = of_torch(parts)
    theirs = rates_of_scheduler(optimizer, torch.optim.lr_scheduler.SequentialLR(optimizer, schedulers, milestones))
    ours = optim.SequentialLR([make(*part) for part in parts], milestones)
    np.testing.assert_allclose(rates_of(ours), theirs, rtol=1e-12, atol=1e-15)
    late = optim.SequentialLR([make(*part) for part in parts], [m + 1 for m in milestones])
    assert not np.allclose(rates_of(late), theirs, rtol=1e-6)  # the control


@pytest.mark.parametrize("parts", CHAINS, ids=str)
def test_all_at_once(parts):
    optimizer, schedulers = of_torch(parts)
    theirs = rates_of_scheduler(optimizer, torch.optim.lr_scheduler.ChainedScheduler(schedulers))
    ours = [make(*part) for part in parts]
    np.testing.assert_allclose(rates_of(optim.ChainedScheduler(ours, 0.3)), theirs, rtol=1e-12, atol=1e-15)
    assert not np.allclose(rates_of(optim.ChainedScheduler(ours[1:], 0.3)), theirs, rtol=1e-6)  # the control


PLATEAUS = [
    dict(patience=3),
    dict(patience=0, factor=0.5, min_lr=0.01),
    dict(patience=2, mode="max", threshold=0.05, factor=0.7),
    dict(patience=2, threshold_mode="abs", threshold=0.3, cooldown=4, factor=0.9),
    dict(patience=1, mode="max", threshold_mode="abs", threshold=0.2, cooldown=1, factor=0.3, eps=1e-3),
]


def figures(seed):
    random = np.random.default_rng(seed)
    return np.exp(-0.05 * np.arange(COUNTS)) + 0.3 * random.normal(size=COUNTS)


@pytest.mark.parametrize("options", PLATEAUS, ids=str)
def test_a_plateau_is_left_at_pytorchs_counts(options):
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.3)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    plateau = optim.ReduceLROnPlateau(0.3, **options)
    step = jax.jit(plateau.step)
    state = plateau.init()
    rates = []
    for figure in figures(0):
        optimizer.step()
        scheduler.step(figure)
        state = step(state, jnp.asarray(figure))
        rates.append(float(state.lr))
        np.testing.assert_allclose(state.lr, scheduler.get_last_lr()[0], rtol=1e-14)
        assert float(state.best) == scheduler.best
        assert int(state.num_bad_epochs) == scheduler.num_bad_epochs
        assert int(state.cooldown_counter) == max(scheduler.cooldown_counter, 0)
    assert len(set(rates)) > 2


def test_control_more_patience_is_noticed():
    plateaus = [optim.ReduceLROnPlateau(0.3, patience=patience) for patience in (3, 4)]
    states = [plateau.init() for plateau in plateaus]
    differences = 0
    for figure in figures(0)[:40]:
        states = [plateau.step(state, figure) for plateau, state in zip(plateaus, states)]
        differences += int(states[0].lr != states[1].lr)
    assert differences


def test_an_optimiser_takes_the_rate_of_a_plateau_inside_a_jitted_step():
    plateau = optim.ReduceLROnPlateau(0.5, patience=0, factor=0.1)

    @jax.jit
    def step(w, state):
        updates, _ = (tx := optim.SGD(state.lr)).update({"w": w}, tx.init({"w": w}))
        return w + updates["w"], plateau.step(state, jnp.ones(()))

    w, state = step(jnp.ones(()), plateau.init())
    w, state = step(w, state)
    w, _ = step(w, state)
    np.testing.assert_allclose(w, 0.5 * 0.5 * 0.95)


@pytest.mark.parametrize(
    "call, line",
    [
        (lambda: optim.SequentialLR([], []), "0 schedules with 0 milestones where a schedule at least is right"),
        (lambda: optim.SequentialLR([abs], [3]), "1 schedules with 1 milestones where 0 milestones are right"),
        (lambda: optim.SequentialLR([abs] * 3, [3, 2]), "milestones are [3, 2] where rising counts are right"),
        (lambda: optim.ChainedScheduler([], 0.1), "no schedule to chain where one at least is right"),
        (lambda: optim.ChainedScheduler([abs], 0.0), "lr is 0.0 where a number > 0 is right"),
        (lambda: optim.ReduceLROnPlateau(0.1, factor=1.0), "factor is 1.0 where a number below 1 is right"),
        (
            lambda: optim.ReduceLROnPlateau(0.1, mode="least"),
            "mode is 'least' of 'rel' where min or max, and rel or abs, are right",
        ),
        (lambda: optim.ConstantLR(0.1, 1.5), "factor is 1.5 where a number in [0, 1] is right"),
        (lambda: optim.PolynomialLR(0.1, 0), "total_iters is 0 where a positive whole number is right"),
        (lambda: optim.CosineAnnealingWarmRestarts(0.1, 0), "T_0 is 0 where a positive whole number is right"),
        (
            lambda: optim.CyclicLR(0.1, 0.2, mode="round"),
            "mode is 'round' where one of triangular, triangular2, exp_range is right",
        ),
        (
            lambda: optim.CyclicLR(0.1, 0.2, scale_mode="count"),
            "scale_mode is 'count' where 'cycle' or 'iterations' is right",
        ),
        (
            lambda: optim.CyclicLR(0.1, 0.2, cycle_momentum=True),
            "cycle_momentum is True where False is right: give SGD a schedule for its momentum, too",
        ),
    ],
)
def test_a_wrong_call_says_what_is_right(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == line
