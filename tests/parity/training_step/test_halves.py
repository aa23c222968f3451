"""Mixed precision, which may be on one side alone, and which hides no other mistake."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
import pytest
import torch
from torch.nn.functional import cross_entropy
from training_steps import BOTH, check, jax_step, named, sgd, torch_step

import parity
from parity.sides.disturb import one_ulp
from parity.training_step import free_run, judged
from parity.training_step.pair import StepPair


def half(dtype, scale=1.0, activation=jnp.tanh):
    def grads(params, batch):
        def scaled(params):
            x, y = batch
            small = jax.tree.map(lambda p: p.astype(dtype), params)
            x = activation(x.astype(dtype) @ small["dense0"]["kernel"] + small["dense0"]["bias"])
            scores = (x @ small["dense1"]["kernel"] + small["dense1"]["bias"]).astype(jnp.float32)
            return scale * optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()

        loss, g = jax.value_and_grad(scaled)(params)
        return loss / scale, jax.tree.map(lambda x: x / scale, g)

    return grads


def autocast(model, optimizer, batch, dtype=torch.bfloat16):
    x, y = batch
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype):
        scores = model(x)
    loss = cross_entropy(scores.float() if scores.dtype == dtype else scores, y)
    loss.backward()
    optimizer.step()
    return loss


def test_mixed_precision_on_both_sides_passes():
    tx = optax.sgd(0.1)
    result = check(jax_step(tx, half(jnp.bfloat16, 8.0)), tx, autocast, sgd, tiers=BOTH)
    assert result.status == "pass", result.blame
    assert max(row.gap for row in result.rows["float64"]) < 1e-9


def flipping() -> parity.Result:
    torch.manual_seed(10)
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3))
    tx = optax.sgd(0.1)
    return check(jax_step(tx, half(jnp.bfloat16, 8.0, jax.nn.relu)), tx, autocast, sgd, model, tiers=("float32",))


def test_a_unit_of_a_rectifier_may_flip_by_a_rounding_to_half_precision():
    result = flipping()
    assert result.status == "pass", result.blame


def test_control_ulps_of_float32_flip_none(monkeypatch):
    monkeypatch.setattr(StepPair, "ulps", lambda pair, number, dtype: number)
    for room in (judged, free_run):  # nor does any operation round otherwise
        monkeypatch.setattr(room, "by_an_ulp", lambda seed, ulps=1, operations=False: one_ulp(seed, ulps))
    assert flipping().status == "fail"


@pytest.mark.slow
def test_mixed_precision_on_both_sides_hides_no_mistake():
    tx = optax.sgd(0.1001)
    result = check(jax_step(tx, half(jnp.bfloat16)), tx, autocast, sgd, tiers=BOTH)
    named(result, "learning-rate", "0.1001, PyTorch's 0.1")


@pytest.mark.parametrize("theirs", [torch_step, partial(autocast, dtype=torch.float16)])
def test_mixed_precision_that_differs(theirs):
    tx = optax.sgd(0.1)
    result = check(jax_step(tx, half(jnp.bfloat16)), tx, theirs, sgd, tiers=BOTH)
    named(result, "mixed-precision", "Flax's step computes in bfloat16", step=0)


def test_mixed_precision_that_flax_leaves_out():
    tx = optax.sgd(0.1)
    result = check(jax_step(tx), tx, autocast, sgd, tiers=BOTH)
    named(result, "mixed-precision", "PyTorch's in bfloat16; in float64 both steps agree", step=0)
