"""Clipping against `torch.nn.utils`, alone and in a chain, where it acts and where it does not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2l_jax import optim
from d2l_jax.errors import InputError

SHAPES = {"weight": (3, 5), "bias": (7,), "scalar": ()}
NORMS = [1.0, 2.0, 2.5, float("inf")]


def gradients(seed=0, scale=1.0, dtype=np.float64):
    random = np.random.default_rng(seed)
    return {k: np.asarray(scale * random.normal(size=s), dtype) for k, s in SHAPES.items()}


def clipped(tx, grads):
    return tx.update(jax.tree.map(jnp.asarray, grads), tx.init(grads))[0]


def torch_clipped(clip, grads):
    params = [torch.zeros(g.shape, dtype=torch.as_tensor(g).dtype, requires_grad=True) for g in grads.values()]
    for p, g in zip(params, grads.values(), strict=True):
        p.grad = torch.tensor(g)
    clip(params)
    return {k: p.grad.numpy() for k, p in zip(grads, params, strict=True)}


def by_norm(max_norm, norm_type=2.0):
    return lambda params: torch.nn.utils.clip_grad_norm_(params, max_norm, norm_type)


def by_value(value):
    return lambda params: torch.nn.utils.clip_grad_value_(params, value)


def gap(left, right):
    return max(np.abs(np.asarray(left[k]) - right[k]).max() / np.abs(right[k]).max() for k in right)


def whole(grads):
    return np.concatenate([g.ravel() for g in grads.values()])


@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("max_norm", [0.5, 100.0], ids=["active", "inactive"])
def test_the_norm_of_all_gradients_is_clipped(max_norm, norm_type):
    grads = gradients()
    ours = clipped(optim.clip_grad_norm(max_norm, norm_type), grads)
    assert gap(ours, torch_clipped(by_norm(max_norm, norm_type), grads)) < 1e-15
    assert np.array_equal(ours["weight"], grads["weight"]) == (max_norm == 100)


@settings(max_examples=30, deadline=None)
@given(
    max_norm=st.just(0.0) | st.floats(1e-6, 10),
    norm_type=st.floats(0.5, 8),
    seed=st.integers(0, 99),
    scale=st.sampled_from([1e-3, 1]),
)
def test_any_norm_agrees(max_norm, norm_type, seed, scale):
    grads = gradients(seed, scale)
    ours = clipped(optim.clip_grad_norm(max_norm, norm_type), grads)
    theirs = torch_clipped(by_norm(max_norm, norm_type), grads)
    for k in grads:
        np.testing.assert_allclose(ours[k], theirs[k], rtol=1e-13)


@pytest.mark.parametrize("value", [0.5, 100.0], ids=["active", "inactive"])
def test_values_are_clipped(value):
    grads = gradients()
    ours = clipped(optim.clip_grad_value(value), grads)
    assert gap(ours, torch_clipped(by_value(value), grads)) == 0
    assert np.array_equal(ours["weight"], grads["weight"]) == (value == 100)


@pytest.mark.parametrize("theta", [0.5, 100.0], ids=["active", "inactive"])
def test_the_books_clipping_has_no_1e_6(theta):
    grads = gradients()
    norm = np.linalg.norm(whole(grads))
    right = {k: g * theta / norm if norm > theta else g for k, g in grads.items()}
    assert gap(clipped(optim.clip_gradients(theta), grads), right) < 1e-15


def test_gradients_of_zero_stay_zero():
    zeros = gradients(scale=0.0)
    for clip in (optim.clip_gradients(1.0), optim.clip_grad_norm(1.0), optim.clip_grad_norm(1.0, float("inf"))):
        assert not any(np.any(g) for g in clipped(clip, zeros).values())


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_what_is_not_finite_spreads_as_in_pytorch(bad):
    grads = gradients()
    grads["bias"][0] = bad
    ours = clipped(optim.clip_grad_norm(1.0), grads)
    for k, theirs in torch_clipped(by_norm(1.0), grads).items():
        np.testing.assert_array_equal(ours[k], theirs)


def test_an_empty_tree_passes():
    assert clipped(optim.clip_grad_norm(1.0), {}) == {}


def per_parameter(theta):
    return optax.stateless(
        lambda grads, _: {k: clipped(optim.clip_gradients(theta), {k: g})[k] for k, g in grads.items()}
    )


WRONG = {
    "the book's for PyTorch's": (by_norm(0.5), optim.clip_gradients(0.5)),
    "Optax's for PyTorch's": (by_norm(0.5), optax.clip_by_global_norm(0.5)),
    "every parameter by itself": (by_norm(0.5), per_parameter(0.5)),
    "another norm": (by_norm(0.5, float("inf")), optim.clip_grad_norm(0.5)),
    "no clamp at 1": (by_norm(100.0), optax.stateless(lambda g, _: jax.tree.map(lambda x: 100 * x, g))),
    "norm for value": (by_value(0.5), optim.clip_grad_norm(0.5)),
}


@pytest.mark.parametrize("bug", WRONG)
def test_control_another_clipping_is_noticed(bug):
    right, wrong = WRONG[bug]
    assert gap(clipped(wrong, gradients()), torch_clipped(right, gradients())) > 1e-8


@pytest.mark.parametrize("norm_type", NORMS)
def test_in_float32_the_error_is_not_above_pytorchs(norm_type):
    random = np.random.default_rng(0)
    grads = {"w": random.normal(size=(300, 400)).astype(np.float32), "b": random.normal(size=400).astype(np.float32)}
    exact = torch_clipped(by_norm(0.5, norm_type), {k: g.astype(np.float64) for k, g in grads.items()})
    theirs = gap(torch_clipped(by_norm(0.5, norm_type), grads), exact)
    with jax.enable_x64(False):
        ours = clipped(optim.clip_grad_norm(0.5, norm_type), grads)
    assert ours["w"].dtype == np.float32
    assert gap(ours, exact) < 1.5 * theirs + 6e-8


CHAINS = {
    "by norm": (by_norm(2.0), optim.clip_grad_norm(2.0)),
    "by largest": (by_norm(1.0, float("inf")), optim.clip_grad_norm(1.0, float("inf"))),
    "by value": (by_value(0.7), optim.clip_grad_value(0.7)),
}


@pytest.mark.parametrize("kind", CHAINS)
def test_a_chain_trains_as_pytorch(kind):
    """The gradients shrink: clipping acts at first, and then no longer."""
    clip, link = CHAINS[kind]
    tx = optax.chain(link, optim.SGD(0.1, momentum=0.9, weight_decay=0.01))
    theirs = {k: torch.ones(s, dtype=torch.float64, requires_grad=True) for k, s in SHAPES.items()}
    ours = {k: jnp.ones(s) for k, s in SHAPES.items()}
    optimizer = torch.optim.SGD(theirs.values(), 0.1, 0.9, weight_decay=0.01)
    state = tx.init(ours)
    acted = set()
    for step in range(100):
        grads = gradients(step, 2.0 * 0.9**step)
        for k, p in theirs.items():
            p.grad = torch.tensor(grads[k])
        clip(theirs.values())
        acted.add(any(not np.array_equal(p.grad.numpy(), grads[k]) for k, p in theirs.items()))
        optimizer.step()
        updates, state = tx.update(jax.tree.map(jnp.asarray, grads), state, ours)
        ours = optax.apply_updates(ours, updates)
        assert gap(ours, {k: p.detach().numpy() for k, p in theirs.items()}) < 1e-13
    assert acted == {True, False}


@pytest.mark.parametrize(
    "call, line",
    [
        (lambda: optim.clip_grad_norm(-1.0), "max_norm is -1.0 where a number >= 0 is right"),
        (lambda: optim.clip_grad_norm(1.0, 0), "norm_type is 0 where a number > 0 or inf is right"),
        (lambda: optim.clip_grad_norm(float("nan")), "max_norm is nan where a number >= 0 is right"),
        (lambda: optim.clip_grad_value(-0.5), "value is -0.5 where a number >= 0 is right"),
        (lambda: optim.clip_gradients(-2), "theta is -2 where a number >= 0 is right"),
    ],
)
def test_a_wrong_call_says_what_is_right(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == line
