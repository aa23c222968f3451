"""`d2l_jax.optim` against `torch.optim`: the same parameters after every one of many steps, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from d2l_jax import optim

STEPS = 100
SHAPES = {"weight": (3, 5), "bias": (7,)}
OPTIONS = [
    ("SGD", dict(lr=0.1)),
    ("SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.03)),
    ("SGD", dict(lr=0.1, weight_decay=3.0, groups={"bias": {"weight_decay": 0.0}})),
    ("SGD", dict(lr=0.1, momentum=0.5, groups={"bias": {"lr": 0.01}})),
    ("Adam", dict(lr=0.01)),
    ("Adam", dict(lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    ("AdamW", dict(lr=0.01)),
    ("AdamW", dict(lr=0.01, weight_decay=0.3, groups={"bias": {"weight_decay": 0.0, "lr": 0.1}})),
]


def gradients(dtype):
    random = np.random.default_rng(0)
    return [{k: random.normal(size=s).astype(dtype) for k, s in SHAPES.items()} for _ in range(STEPS)]


def torch_trajectory(name, options, dtype):
    options = dict(options)
    groups = options.pop("groups", {})
    params = {k: torch.ones(s, dtype=getattr(torch, dtype)) for k, s in SHAPES.items()}
    optimizer = getattr(torch.optim, name)([{"params": [p], **groups.get(k, {})} for k, p in params.items()], **options)
    for grads in gradients(dtype):
        for k, p in params.items():
            p.grad = torch.tensor(grads[k])
        optimizer.step()
        yield {k: p.numpy().copy() for k, p in params.items()}


def jax_trajectory(name, options, dtype):
    tx = getattr(optim, name)(**options)
    params = {k: jnp.ones(s, dtype) for k, s in SHAPES.items()}
    state = tx.init(params)
    update = jax.jit(tx.update)
    for grads in gradients(dtype):
        updates, state = update(grads, state, params)
        params = optax.apply_updates(params, updates)
        yield params


def largest_gap(left, right):
    return max(
        np.abs(np.asarray(a[k], np.float64) - b[k]).max() for a, b in zip(left, right, strict=True) for k in SHAPES
    )


@pytest.mark.parametrize("name, options", OPTIONS, ids=str)
def test_every_step_agrees(name, options):
    assert largest_gap(jax_trajectory(name, options, "float64"), torch_trajectory(name, options, "float64")) < 1e-13


def test_control_another_option_is_noticed():
    left, right = (
        list(f("SGD", dict(lr=0.1, momentum=m), "float64"))
        for f, m in ((jax_trajectory, 0.9), (torch_trajectory, 0.9 + 1e-9))
    )
    assert largest_gap(left, right) > 1e-13


def test_adams_bias_correction_is_exact_in_float32():
    """Optax's own loses four digits of 1 - 0.999**count."""
    exact = list(torch_trajectory("Adam", dict(lr=0.01), "float64"))
    first = largest_gap([next(jax_trajectory("Adam", dict(lr=0.01), "float32"))], exact[:1])
    assert first < 2e-7


def test_a_schedule_is_followed():
    halves = optax.piecewise_constant_schedule(0.1, {1: 0.5})
    tx = optim.SGD(halves)
    params = {"w": jnp.zeros(())}
    state, seen = tx.init(params), []
    for _ in range(3):
        updates, state = tx.update({"w": jnp.ones(())}, state, params)
        seen.append(float(updates["w"]))
    np.testing.assert_allclose(seen, [-0.1, -0.05, -0.05])


def test_groups_know_pytorchs_names():
    tx = optim.SGD(0.1, weight_decay=1.0, groups={"weight": {"weight_decay": 0.0}})
    params = {"fc": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}}
    zeros = jax.tree.map(jnp.zeros_like, params)
    updates, _ = tx.update(zeros, tx.init(params), params)
    assert not updates["fc"]["kernel"].any() and updates["fc"]["bias"].all()
