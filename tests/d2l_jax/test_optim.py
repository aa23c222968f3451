"""`d2l_jax.optim` against `torch.optim`: every parameter and every slot after every one of many steps."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optim_runs import draw, error, float32_run, jax_run, largest_gap, largest_gap_of_an_update, make, torch_run
from sampled import sampled

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
    ("NAdam", dict()),
    ("NAdam", dict(lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, momentum_decay=0.1)),
    ("NAdam", dict(lr=0.01, decoupled_weight_decay=True, weight_decay=0.3, betas=(0.0, 0.0), maximize=True)),
    (
        "NAdam",
        dict(weight_decay=0.1, groups={"bias": {"decoupled_weight_decay": True, "momentum_decay": 1.0, "lr": 0.1}}),
    ),
    ("RAdam", dict()),
    ("RAdam", dict(lr=0.01, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1)),
    ("RAdam", dict(lr=0.01, betas=(0.5, 0.0), decoupled_weight_decay=True, weight_decay=0.3, maximize=True)),
    ("RAdam", dict(weight_decay=0.1, groups={"bias": {"decoupled_weight_decay": True, "betas": (0.9, 0.99)}})),
    ("Adamax", dict()),
    ("Adamax", dict(lr=0.01, betas=(0.8, 0.5), eps=1e-2, weight_decay=0.1)),
    ("Adamax", dict(maximize=True, groups={"bias": {"betas": (0.0, 0.0), "lr": 0.1}})),
    ("Rprop", dict()),
    ("Rprop", dict(lr=0.1, etas=(0.3, 1.7), step_sizes=(0.01, 0.5))),
    ("Rprop", dict(maximize=True, groups={"bias": {"etas": (0.7, 1.1), "lr": 0.2}})),
    ("ASGD", dict()),
    ("ASGD", dict(lr=0.1, lambd=0.1, alpha=0.3, t0=20.0, weight_decay=0.1)),
    ("ASGD", dict(t0=0.0, maximize=True, groups={"bias": {"lambd": 0.5, "alpha": 1.0, "lr": 0.3}})),
    ("Yogi", dict()),
    ("Yogi", dict(lr=0.1, betas=(0.5, 0.9), eps=0.1, groups={"bias": {"lr": 0.5}})),
    ("AdagradScratch", dict(lr=0.1, eps=0.1)),
    ("RMSPropScratch", dict(gamma=0.7, eps=0.1, groups={"bias": {"gamma": 0.3}})),
]
# PyTorch's own sum for RAdam cancels: it has half of float64's digits in the first updates with a rectified rate.
IN_FLOAT64 = {"mu_product", "eta"}  # numbers that PyTorch computes so beside float32 too
CANCELS = {"RAdam": 1e-9}


@pytest.mark.parametrize("name, options", OPTIONS, ids=str)
def test_every_step_agrees(name, options):
    assert largest_gap(jax_run(make(name, options)), torch_run(name, options)) < CANCELS.get(name, 1e-13)


@pytest.mark.parametrize("name, options", sampled(OPTIONS), ids=str)
def test_every_step_agrees_from_pytorchs_own_state(name, options):
    teacher = list(torch_run(name, options))
    run = list(jax_run(make(name, options), teacher=teacher))
    assert largest_gap(run, teacher) < CANCELS.get(name, 1e-14)
    assert largest_gap_of_an_update(run, teacher) < CANCELS.get(name, 1e-13)


@pytest.mark.parametrize("name, options", sampled(OPTIONS), ids=str)
def test_in_float32_the_error_is_not_above_pytorchs(name, options):
    exact = list(torch_run(name, options))
    theirs = error(list(torch_run(name, options, "float32")), exact)
    ours = error(float32_run(make(name, options)), exact)
    scale = {k: np.abs(exact[-1][k]).max() for k in exact[0] if k.partition(":")[0] not in IN_FLOAT64}
    # A product and a sum that are rounded once or twice, as XLA optimises, change an error by a factor of two.
    assert {k: (ours[k], theirs[k]) for k in scale if ours[k] > 2.5 * theirs[k] + 6e-8 * scale[k]} == {}


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
BETAS = dict(betas=st.tuples(numbers(0, 0.99), numbers(0, 0.99)), **EPS)
DRAWN["NAdam"] = BETAS | dict(momentum_decay=numbers(0, 1), decoupled_weight_decay=st.booleans())
DRAWN["Adamax"] = BETAS
DRAWN["ASGD"] = dict(lambd=numbers(0, 1), alpha=numbers(0, 1), t0=numbers(0, 5))
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


NAMES = sorted({name for name, _ in OPTIONS if hasattr(torch.optim, name)} | {"Muon", "LBFGS"})


@pytest.mark.parametrize("name", NAMES)
def test_options_and_their_defaults_are_pytorchs(name):
    left_out = {"params", "foreach", "fused", "capturable", "differentiable", "groups", "ns_dtype"}
    left_out |= {"decoupled_weight_decay"} if name == "Adam" else set()  # which is AdamW
    ours, theirs = (
        {k: p.default for k, p in inspect.signature(make).parameters.items() if k not in left_out}
        for make in (getattr(optim, name), getattr(torch.optim, name))
    )
    assert ours == theirs
