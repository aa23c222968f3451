"""Paths of chapter 12: the book's numbers, after the first, the fifth and the last step."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from d2l_jax import optim
from d2l_jax.algorithms import bowl, catenary, descend, gorge, newton, parabola, wave

BOOK = json.loads((Path(__file__).parent / "facts" / "optimization.json").read_text())
TRACES = BOOK["traces"]
START = (-5.0, -2.0)
PATHS = {
    "gd_2d on x1^2+2x2^2, eta .1: after 1, 5, 20 steps": (bowl, optim.SGD(0.1)),
    "gd_2d on .1x1^2+2x2^2, eta .4": (gorge, optim.SGD(0.4)),
    "gd_2d same, eta .6": (gorge, optim.SGD(0.6)),
    "momentum_2d eta .6 beta .5": (gorge, optim.SGD(0.6, momentum=0.5)),
    "momentum_2d eta .6 beta .25": (gorge, optim.SGD(0.6, momentum=0.25)),
    "adagrad_2d eta .4": (gorge, optim.AdagradScratch(0.4)),
    "adagrad_2d eta 2": (gorge, optim.AdagradScratch(2.0)),
    "rmsprop_2d eta .4 gamma .9": (gorge, optim.RMSPropScratch(0.4, 0.9)),
}
ROUNDED = 6e-7  # the book's numbers have six digits behind the point


def seen(path):
    return np.asarray(path)[[1, 5, -1]]


@pytest.mark.parametrize("name", PATHS)
def test_paths_in_the_plane(name):
    f, optimizer = PATHS[name]
    np.testing.assert_allclose(seen(descend(f, optimizer, START)), TRACES[name], atol=ROUNDED)


def test_control_another_rate_or_eps_is_noticed():
    for name, optimizer in (
        ("gd_2d same, eta .6", optim.SGD(0.6001)),
        ("adagrad_2d eta 2", optim.Adagrad(2.0, eps=0.1)),
    ):
        assert not np.allclose(seen(descend(gorge, optimizer, START)), TRACES[name], atol=1e-5)


def test_every_path_is_of_a_name_in_the_book():
    assert PATHS.keys() == {name for name in TRACES if "2d" in name}


def test_descent_on_a_line_also_where_it_diverges():
    ends = [descend(parabola, optim.SGD(eta), 10.0, 10)[-1] for eta in (0.2, 0.05, 1.1)]
    np.testing.assert_allclose(ends, TRACES["gd x^2 from 10, 10 steps: eta .2/.05/1.1"], atol=ROUNDED)
    end = descend(wave, optim.SGD(2.0), 10.0, 10)[-1]
    np.testing.assert_allclose(end, TRACES["gd x cos(.15 pi x), eta 2"], atol=ROUNDED)


def test_newtons_method():
    np.testing.assert_allclose(newton(catenary, 10.0)[-1], TRACES["newton cosh(.5x)"], atol=ROUNDED)
    ends = [newton(wave, 10.0, eta=eta)[-1] for eta in (1.0, 0.5)]
    np.testing.assert_allclose(ends, TRACES["newton x cos(.15 pi x) eta 1 / .5"], atol=5e-5)
    np.testing.assert_allclose(newton(gorge, START, steps=1)[-1], 0, atol=1e-12)  # a parabola in one step


FACTORS = {
    "constant": (lambda count: 1.0, 50, lambda t: 1.0),
    "exponential": (lambda count: optim.exponential_factor(count), 1000, lambda t: np.exp(-0.1 * t)),
    "polynomial": (lambda count: optim.polynomial_factor(count), 50, lambda t: (1 + 0.1 * t) ** -0.5),
}


@pytest.mark.parametrize("name", FACTORS)
def test_stochastic_descent_under_the_books_schedules(name):
    """The book's counter starts at 1 and grows before it is read, so the first rate is that of t = 2."""
    ours, steps, factor = FACTORS[name]
    noise = np.random.default_rng(0).normal(size=(steps, 2))
    path = descend(bowl, optim.SGD(optim.LambdaLR(0.1, ours)), START, steps, jnp.asarray(noise))
    x = np.array(START)
    for number in range(steps):
        x = x - 0.1 * factor(number + 2) * (x * [2, 4] + noise[number])
        np.testing.assert_allclose(path[number + 1], x, rtol=1e-12, atol=1e-12)


SCRATCH = {
    "sgd lr .1": optim.SGD(0.1),
    "momentum lr .1 m .9": optim.SGD(0.1, momentum=0.9),
    "adagrad lr .1": optim.AdagradScratch(0.1),
    "rmsprop lr .01 gamma .9": optim.RMSPropScratch(0.01, 0.9),
    "adadelta rho .9": optim.Adadelta(rho=0.9, eps=1e-5),
    "adam lr .01": optim.Adam(0.01, eps=1e-6),
    "yogi lr .01": optim.Yogi(0.01),
}
GRADIENTS = ([0.5, -0.1], [0.2, 0.3], [-0.4, 0.6])


def after_each(optimizer):
    p = jnp.array([1.0, -2.0])
    state = optimizer.init(p)
    for gradient in GRADIENTS:
        updates, state = optimizer.update(jnp.array(gradient), state, p)
        p = optax.apply_updates(p, updates)
        yield p


@pytest.mark.parametrize("name", BOOK["scratch"])
def test_optimisers_from_scratch(name):
    np.testing.assert_allclose(list(after_each(SCRATCH[name])), BOOK["scratch"][name], atol=ROUNDED)


def test_control_another_eps_or_adam_for_yogi_are_noticed():
    for name, wrong in (
        ("rmsprop lr .01 gamma .9", optim.RMSprop(0.01, 0.9, eps=1e-3)),
        ("yogi lr .01", optim.Adam(0.01)),
    ):
        assert not np.allclose(list(after_each(wrong)), BOOK["scratch"][name], atol=1e-6)


def test_a_path_may_be_jitted_and_differentiated():
    end = jax.jit(lambda start: descend(bowl, optim.SGD(0.1), start, 3)[-1])
    np.testing.assert_allclose(jnp.diag(jax.jacobian(end)(jnp.array(START))), [0.8**3, 0.6**3])
