"""`d2l_jax.optim` against `torch.optim`: every parameter and every slot after every one of many steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optim_runs import draw, error, float32_run, jax_run, largest_gap, largest_gap_of_an_update, make, torch_run

from d2l_jax import optim

OPTIONS = [
    ("SGD", dict(lr=0.1)),
    ("SGD", dict(lr=0.1, maximize=True)),
    ("SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.03)),
    ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.3)),
    ("SGD", dict(lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.1, maximize=True)),
    ("SGD", dict(lr=0.1, weight_decay=3.0, groups={"bias": {"weight_decay": 0.0}})),
    ("SGD", dict(lr=0.1, momentum=0.5, groups={"bias": {"lr": 0.01, "momentum": 0.0}})),
    ("SGD", dict(lr=0.1, groups={"ias": {"momentum": 0.7, "dampening": 0.5, "maximize": True}})),
    ("Adam", dict(lr=0.01)),
    ("Adam", dict()),
    ("Adam", dict(lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    ("Adam", dict(lr=0.01, betas=(0.0, 0.0), maximize=True)),
    ("Adam", dict(lr=0.01, betas=(0.3, 0.4), amsgrad=True)),
    ("Adam", dict(lr=0.01, groups={"bias": {"amsgrad": True, "betas": (0.5, 0.9), "eps": 0.1}})),
    ("AdamW", dict(lr=0.01)),
    ("AdamW", dict(lr=0.01, amsgrad=True, betas=(0.7, 0.5))),
    ("AdamW", dict(lr=0.01, weight_decay=0.3, groups={"bias": {"weight_decay": 0.0, "lr": 0.1}})),
    ("Adagrad", dict(lr=0.1)),
    ("Adagrad", dict(lr=0.1, lr_decay=0.05, weight_decay=0.1, initial_accumulator_value=0.2, eps=1e-3)),
    ("Adagrad", dict(lr=0.1, maximize=True, groups={"bias": {"lr_decay": 0.5, "eps": 1e-2}})),
    ("RMSprop", dict()),
    ("RMSprop", dict(lr=0.01, alpha=0.9, eps=1e-2, weight_decay=0.1)),
    ("RMSprop", dict(lr=0.01, alpha=0.3, centered=True)),
    ("RMSprop", dict(lr=0.01, momentum=0.9, centered=True, maximize=True)),
    ("RMSprop", dict(lr=0.01, groups={"bias": {"centered": True}, "weight": {"momentum": 0.5, "alpha": 0.5}})),
    ("Adadelta", dict()),
    ("Adadelta", dict(lr=0.5, rho=0.7, eps=1e-4, weight_decay=0.1)),
    ("Adadelta", dict(maximize=True, groups={"bias": {"rho": 0.5, "eps": 1e-2, "lr": 2.0}})),
]


@pytest.mark.parametrize("name, options", OPTIONS, ids=str)
def test_every_step_agrees(name, options):
    assert largest_gap(jax_run(make(name, options)), torch_run(name, options)) < 1e-13


@pytest.mark.parametrize("name, options", OPTIONS, ids=str)
def test_every_step_agrees_from_pytorchs_own_state(name, options):
    teacher = list(torch_run(name, options))
    run = list(jax_run(make(name, options), teacher=teacher))
    assert largest_gap(run, teacher) < 1e-14
    assert largest_gap_of_an_update(run, teacher) < 1e-13


@pytest.mark.parametrize("name, options", OPTIONS, ids=str)
def test_in_float32_the_error_is_not_above_pytorchs(name, options):
    exact = list(torch_run(name, options))
    theirs = error(list(torch_run(name, options, "float32")), exact)
    ours = error(float32_run(make(name, options)), exact)
    scale = {k: np.abs(exact[-1][k]).max() for k in exact[0]}
    assert {k: (ours[k], theirs[k]) for k in ours if ours[k] > 1.5 * theirs[k] + 6e-8 * scale[k]} == {}


def test_centered_rmsprop_survives_a_variance_that_rounds_below_zero():
    """PyTorch's update is NaN wherever its own rounding does that."""
    tx = optim.RMSprop(alpha=0.1, centered=True)
    grads = {"w": jnp.linspace(0.1, 3, 1000)}
    state = tx.init(grads)
    for _ in range(60):
        updates, state = tx.update(grads, state, grads)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((updates, state)))


def numbers(low, high):
    return st.floats(low, high).map(lambda x: round(x, 3))


COMMON = dict(lr=numbers(0, 1), weight_decay=numbers(0, 1), maximize=st.booleans())
EPS = dict(eps=st.sampled_from([1e-8, 1e-4, 0.1]))
DRAWN = {
    "SGD": dict(momentum=numbers(0, 1), dampening=numbers(-1, 1)),
    "Adam": dict(betas=st.tuples(numbers(0, 0.99), numbers(0, 0.99)), amsgrad=st.booleans(), **EPS),
    "Adagrad": dict(lr_decay=numbers(0, 1), initial_accumulator_value=numbers(0, 1), **EPS),
    # With a smaller alpha or eps, the variance of one gradient cancels to nothing, or to PyTorch's NaN.
    "RMSprop": dict(alpha=numbers(0.2, 0.99), momentum=numbers(0, 1), centered=st.booleans(), eps=numbers(0.01, 1)),
    "Adadelta": dict(rho=numbers(0, 1), **EPS),
}
DRAWN["AdamW"] = DRAWN["Adam"]
SIZES = st.sampled_from([(), (4,), (2, 3)])


@pytest.mark.parametrize("name", DRAWN)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), shapes=st.fixed_dictionaries(dict(weight=SIZES, bias=SIZES)), seed=st.integers(0, 99))
def test_any_options_and_shapes_agree(name, data, shapes, seed):
    options = data.draw(st.fixed_dictionaries(COMMON | DRAWN[name]))
    group = data.draw(st.fixed_dictionaries({}, optional=COMMON | DRAWN[name]))
    group.pop("initial_accumulator_value", None)
    options["groups"] = {"bias": group}
    drawn = draw(shapes=shapes, steps=4, seed=seed)
    left = list(jax_run(make(name, options), drawn=drawn, jit=False))
    right = list(torch_run(name, options, drawn=drawn))
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for k in b:
            limit = 1e-10 if name == "RMSprop" else 1e-12
            np.testing.assert_allclose(a[k], b[k], rtol=limit, atol=limit)
