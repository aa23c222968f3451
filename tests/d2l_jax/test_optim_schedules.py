"""Schedules: PyTorch's against `torch.optim.lr_scheduler`, the book's against its own."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_runs import COUNTS, label, make, rates_of, torch_rates

from d2l_jax import optim
from d2l_jax.errors import InputError


def hyperbola(count):
    """1 / (1 + count / 10), of an int for PyTorch and of an int32 array for JAX."""
    return 1 / (1 + 0.1 * (count if isinstance(count, int) else count.astype(float)))


# What the book's own classes of section 12.11 return, called with 0, 1, 2, ... in this order.
BOOK = {
    "factor": [1.8, 1.62, 1.458, 1.3122, 1.18098],
    "square root": [0.1, 0.070711, 0.057735, 0.05, 0.044721],
    "cosine": [
        *(0.3, 0.298215, 0.292903, 0.284196, 0.272307, 0.25753, 0.240229, 0.220829, 0.199807, 0.177683, 0.155),
        *(0.132317, 0.110193, 0.089171, 0.069771, 0.05247, 0.037693, 0.025804, 0.017097, 0.011785, 0.01, 0.01, 0.01),
    ],
    "cosine with warm-up": [
        *(0.0, 0.06, 0.12, 0.18, 0.24, 0.3, 0.296831, 0.287464, 0.272307, 0.252024, 0.2275, 0.199807, 0.170157),
        *(0.139843, 0.110193, 0.0825, 0.057976, 0.037693, 0.022536, 0.013169, 0.01, 0.01, 0.01),
    ],
}
SCHEDULES = [
    ("StepLR", dict(step_size=7)),
    ("StepLR", dict(step_size=1, gamma=0.9)),
    ("StepLR", dict(step_size=30, gamma=0.0)),
    ("MultiStepLR", dict(milestones=[15, 30], gamma=0.5)),
    ("MultiStepLR", dict(milestones=[40, 0, 5, 5, 500])),
    ("ExponentialLR", dict(gamma=0.95)),
    ("ExponentialLR", dict(gamma=1.01)),
    ("CosineAnnealingLR", dict(T_max=20)),
    ("CosineAnnealingLR", dict(T_max=99, eta_min=0.01)),
    ("CosineAnnealingLR", dict(T_max=1, eta_min=0.01)),
    ("LinearLR", dict()),
    ("LinearLR", dict(start_factor=0.1, end_factor=0.7, total_iters=60)),
    ("LinearLR", dict(start_factor=1.0, end_factor=0.0, total_iters=30)),
    ("LambdaLR", dict(lr_lambda=hyperbola)),
    ("ConstantLR", dict()),
    ("ConstantLR", dict(factor=0.7, total_iters=50)),
    ("PolynomialLR", dict()),
    ("PolynomialLR", dict(total_iters=60, power=0.5)),
    ("PolynomialLR", dict(total_iters=99, power=3.0)),
    ("CosineAnnealingWarmRestarts", dict(T_0=7)),
    ("CosineAnnealingWarmRestarts", dict(T_0=1, T_mult=3, eta_min=0.01)),
    ("CosineAnnealingWarmRestarts", dict(T_0=10, T_mult=2, eta_min=0.1)),
    ("CyclicLR", dict(max_lr=0.9, step_size_up=10)),
    ("CyclicLR", dict(max_lr=0.9, step_size_up=7, step_size_down=4, mode="triangular2")),
    ("CyclicLR", dict(max_lr=0.9, step_size_up=3, step_size_down=13, mode="exp_range", gamma=0.97)),
    ("CyclicLR", dict(max_lr=0.9, step_size_up=5, scale_fn=hyperbola)),
    ("CyclicLR", dict(max_lr=0.9, step_size_up=5, scale_fn=hyperbola, scale_mode="iterations")),
    ("OneCycleLR", dict(total_steps=COUNTS)),
    ("OneCycleLR", dict(total_steps=COUNTS, anneal_strategy="linear", pct_start=0.234)),
    ("OneCycleLR", dict(total_steps=COUNTS, three_phase=True)),
    ("OneCycleLR", dict(epochs=20, steps_per_epoch=5, three_phase=True, anneal_strategy="linear", pct_start=0.4)),
    ("OneCycleLR", dict(total_steps=COUNTS, pct_start=0.0, div_factor=10.0, final_div_factor=50.0)),
    ("OneCycleLR", dict(total_steps=COUNTS, pct_start=1.0)),
    ("OneCycleLR", dict(total_steps=COUNTS, pct_start=0.9, three_phase=True)),
]


@pytest.mark.parametrize("name, options", SCHEDULES, ids=label)
def test_every_rate_is_pytorchs(name, options):
    theirs = torch_rates(name, options)
    np.testing.assert_allclose(rates_of(make(name, options)), theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name, options", SCHEDULES, ids=label)
def test_in_float32_every_rate_is_right_to_a_few_ulps(name, options):
    with jax.enable_x64(False):
        ours = rates_of(make(name, options))
    assert ours.dtype == np.float32
    theirs = torch_rates(name, options)  # a cosine near its ends cancels: its error is one of the largest rate
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-7 * np.max(theirs))


@pytest.mark.parametrize("name, options", SCHEDULES, ids=label)
def test_many_counts_at_once_and_a_plain_int(name, options):
    schedule = make(name, options)
    many = schedule(jnp.arange(COUNTS).reshape(4, 25))
    assert many.shape == (4, 25)
    np.testing.assert_allclose(many.ravel(), rates_of(schedule), rtol=1e-14, atol=1e-17)
    assert np.allclose(schedule(3), many[0, 3], rtol=1e-14)


@settings(max_examples=20, deadline=None)
@given(
    total=st.integers(2, 40),
    pct_start=st.floats(0, 1),
    strategy=st.sampled_from(["cos", "linear"]),
    three_phase=st.booleans(),
)
@pytest.mark.slow
def test_any_cycle_agrees(total, pct_start, strategy, three_phase):
    # Where a phase is shorter than rounding, PyTorch divides by nearly 0.
    if abs(pct_start * total - 1) < 1e-3:
        return
    options = dict(total_steps=total, pct_start=pct_start, anneal_strategy=strategy, three_phase=three_phase)
    ours = make("OneCycleLR", options)(jnp.arange(40))[:total]
    np.testing.assert_allclose(ours, torch_rates("OneCycleLR", options, counts=total), rtol=1e-9, atol=1e-12)


def test_far_counts_stay_right_in_float32():
    """gamma itself, rounded to float32, would be wrong by 1e-3 after 100 000 counts."""
    with jax.enable_x64(False):
        power = optim.ExponentialLR(1.0, 0.99999)(jnp.asarray(100_000))
        cosine = optim.CosineAnnealingLR(1.0, T_max=1_000_000)(jnp.asarray(999_999))
    assert abs(float(power) / 0.99999**100_000 - 1) < 1e-6
    assert abs(float(cosine) / math.sin(math.pi / 2e6) ** 2 - 1) < 1e-6


def test_a_cycle_stays_at_its_last_rate():
    rates = optim.OneCycleLR(0.3, total_steps=50, anneal_strategy="linear")(jnp.asarray([49, 50, 1000]))
    np.testing.assert_allclose(rates, 0.3 / 25 / 1e4)


WRONG = {
    "one count late": ("StepLR", dict(step_size=7), lambda count: optim.StepLR(0.3, 7)(count - 1)),
    "milestones passed, not reached": (
        "MultiStepLR",
        dict(milestones=[15, 30]),
        lambda count: jnp.where(count > 15, 0.1, 1.0) * jnp.where(count > 30, 0.1, 1.0) * 0.3,
    ),
    "cosine that stays down": (
        "CosineAnnealingLR",
        dict(T_max=20),
        optax.cosine_decay_schedule(0.3, 20),
    ),
    "Optax's cycle": ("OneCycleLR", dict(total_steps=COUNTS), optax.cosine_onecycle_schedule(COUNTS, 0.3)),
    "two phases for three": ("OneCycleLR", dict(total_steps=COUNTS, three_phase=True), optim.OneCycleLR(0.3, COUNTS)),
    "the other annealing": (
        "OneCycleLR",
        dict(total_steps=COUNTS),
        optim.OneCycleLR(0.3, COUNTS, anneal_strategy="linear"),
    ),
    "a polynomial that ends late": ("PolynomialLR", dict(), optim.PolynomialLR(0.3, 6)),
    "a constant that ends late": ("ConstantLR", dict(), optim.ConstantLR(0.3, total_iters=6)),
    "restarts of one length": (
        "CosineAnnealingWarmRestarts",
        dict(T_0=10, T_mult=2),
        optim.CosineAnnealingWarmRestarts(0.3, 10),
    ),
    "triangles of one height": (
        "CyclicLR",
        dict(max_lr=0.9, step_size_up=10, mode="triangular2"),
        optim.CyclicLR(0.3, 0.9, 10),
    ),
    "ends one count early": ("LinearLR", dict(), optim.LinearLR(0.3, total_iters=4)),
}


@pytest.mark.usefixtures("promoting")  # as Optax's schedules do
@pytest.mark.parametrize("bug", WRONG)
def test_control_a_wrong_schedule_is_noticed(bug):
    name, options, wrong = WRONG[bug]
    assert not np.allclose(rates_of(wrong), torch_rates(name, options), rtol=1e-6)


OURS = {
    "factor": optim.FactorScheduler(0.9, stop_factor_lr=1e-2, base_lr=2.0),
    "square root": optim.SquareRootScheduler(0.1),
    "cosine": optim.CosineScheduler(20, base_lr=0.3, final_lr=0.01),
    "cosine with warm-up": optim.CosineScheduler(20, base_lr=0.3, final_lr=0.01, warmup_steps=5),
}


@pytest.mark.parametrize("name", BOOK)
def test_the_books_values(name):
    np.testing.assert_allclose(rates_of(OURS[name], len(BOOK[name])), BOOK[name], atol=6e-7)


def test_control_a_cosine_without_its_warm_up_is_noticed():
    wrong = OURS["cosine"]
    assert not np.allclose(rates_of(wrong, 23), BOOK["cosine with warm-up"], atol=1e-3)


def test_the_factor_stops_where_the_book_stops():
    rate = 2.0
    rates = []
    for _ in range(COUNTS):
        rate = max(1e-2, rate * 0.9)
        rates.append(rate)
    np.testing.assert_allclose(rates_of(OURS["factor"]), rates, rtol=1e-13)


def test_a_constant_warm_up_stays_where_it_begins():
    schedule = optim.CosineScheduler(20, 0.3, warmup_steps=5, warmup_begin_lr=0.1, warmup_mode="constant")
    np.testing.assert_allclose(rates_of(schedule, 6), [0.1] * 5 + [0.3])
    linear = optim.CosineScheduler(20, 0.3, warmup_steps=5, warmup_begin_lr=0.1)
    np.testing.assert_allclose(rates_of(linear, 6), [0.1, 0.14, 0.18, 0.22, 0.26, 0.3])


def test_the_books_loop_is_one_epoch_late():
    """Section 12.11: with warm-up, epoch 0 runs at 0.3, epoch 1 at 0, epoch 2 at 0.06."""
    cosine = OURS["cosine with warm-up"]
    late = rates_of(optim.by_epoch(3, optim.one_late(0.3, cosine)), 12)
    np.testing.assert_allclose(late, np.repeat([0.3, 0.0, 0.06, 0.12], 3))


@pytest.mark.parametrize(
    "call, line",
    [
        (lambda: optim.StepLR(-0.1, 3), "lr is -0.1 where a number >= 0 is right"),
        (lambda: optim.StepLR(0.1, 0), "step_size is 0 where a positive whole number is right"),
        (lambda: optim.ExponentialLR(0.1, -1), "gamma is -1 where a number >= 0 is right"),
        (lambda: optim.CosineAnnealingLR(0.1, 0), "T_max is 0 where a positive whole number is right"),
        (lambda: optim.LinearLR(0.1, 0.0), "factors 0.0 to 1.0 where numbers in (0, 1] and in [0, 1] are right"),
        (lambda: optim.OneCycleLR(0.1), "OneCycleLR needs total_steps, or epochs and steps_per_epoch"),
        (lambda: optim.OneCycleLR(0.1, 0), "total_steps is 0 where a positive whole number is right"),
        (lambda: optim.OneCycleLR(0.1, 9, pct_start=1.5), "pct_start is 1.5 where a number in [0, 1] is right"),
        (
            lambda: optim.OneCycleLR(0.1, 9, anneal_strategy="cosine"),
            "anneal_strategy is 'cosine' where 'cos' or 'linear' is right",
        ),
        (
            lambda: optim.OneCycleLR(0.1, 9, cycle_momentum=True),
            "cycle_momentum is True where False is right: give SGD a schedule for its momentum, too",
        ),
        (lambda: optim.FactorScheduler(1.1), "factor is 1.1 where a number in [0, 1] is right"),
        (
            lambda: optim.CosineScheduler(20, warmup_mode="none"),
            "warmup_mode is 'none' where 'linear' or 'constant' is right",
        ),
        (lambda: optim.by_epoch(0, optim.StepLR(0.1, 1)), "an epoch of 0 updates where at least 1 is right"),
    ],
)
def test_a_wrong_call_says_what_is_right(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == line
