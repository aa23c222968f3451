"""Tables that either side has computed in float32 before the check, where the other computes them in the step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from training_steps import BATCHES, EXACT, net, params, sgd
from training_steps import loss_of as loss_after

import parity

EXPONENTS = np.arange(5) / 5


class Waves(torch.nn.Module):
    """Holds frequencies of float32, in a buffer."""

    freq: torch.Tensor

    def __init__(self):
        super().__init__()
        self.net = net()
        freq = torch.exp(torch.tensor(EXPONENTS, dtype=torch.float32))
        self.register_buffer("freq", freq, persistent=False)

    def forward(self, x):
        return self.net(torch.sin(x * self.freq))


def check(ours, model, state=None, table=None):
    """Checks a step whose JAX side has waves of `ours(state, x)`; PyTorch has a model of waves, or a table."""
    tx, optimizer = optax.sgd(0.1), sgd(model)
    start = params()

    @jax.jit
    def step(state, batch):
        x, y = batch
        loss, grads = jax.value_and_grad(loss_after)(state["params"], (ours(state, x), y))
        updates, opt = tx.update(grads, state["opt"], state["params"])
        return state | {"params": optax.apply_updates(state["params"], updates), "opt": opt}, loss

    def torch_step(model, optimizer, batch):
        x, y = batch
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x if table is None else torch.sin(x * table)), y)
        loss.backward()
        optimizer.step()
        return loss

    state = {"params": start, "opt": tx.init(start)} | (state or {})
    return parity.check_step(step, state, torch_step, model, optimizer, BATCHES[:2], tiers=EXACT)


def computed(factor=1.0):
    return lambda state, x: jnp.sin(x * factor * jnp.exp(jnp.asarray(EXPONENTS, x.dtype))[None])


def held(state, x):
    return jnp.sin(x * state["freq"][None])


@pytest.mark.parametrize("factor, status", [(1.0, "pass"), (1.001, "fail"), (1 + 1e-5, "fail")])
def test_a_buffer_of_float32_beside_what_flax_computes(factor, status):
    result = check(computed(factor), Waves())
    assert result.status == status, result.blame
    because = [row.because for row in result.rows["float64"] if "holds in float32" in row.because]
    assert because or status == "fail"


@pytest.mark.parametrize("factor, status", [(1.0, "pass"), (1 + 1e-5, "fail")])
def test_a_table_of_float32_in_pytorchs_closure(factor, status):
    table = torch.exp(torch.tensor(EXPONENTS, dtype=torch.float32))
    assert check(computed(factor), net(), table=table).status == status


class Computing(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x):
        return self.net(torch.sin(x * torch.exp(torch.tensor(EXPONENTS, dtype=x.dtype))))


@pytest.mark.parametrize("factor, status", [(1.0, "pass"), (1.001, "fail")])
def test_a_table_in_jaxs_state(factor, status):
    freq = factor * jnp.exp(jnp.asarray(EXPONENTS, jnp.float32))
    assert check(held, Computing(), {"freq": freq}).status == status


def waves(table, factor=1.0):
    """Gives waves of a table that JAX's step holds in its closure."""
    return jax.jit(lambda state, x: jnp.sin(x * factor * table[None]))


@pytest.mark.parametrize("factor, status", [(1.0, "pass"), pytest.param(1 + 1e-5, "fail", marks=pytest.mark.slow)])
def test_a_table_of_float32_in_jaxs_closure(factor, status):
    assert check(waves(jnp.exp(jnp.asarray(EXPONENTS, jnp.float32)), factor), Computing()).status == status


def test_control_data_that_both_closures_hold_excuses_nothing():
    table = np.exp(EXPONENTS).astype(np.float32)
    assert check(waves(jnp.asarray(table), 1 + 1e-7), net(), table=torch.as_tensor(table)).status == "fail"


def test_control_a_step_without_constants_excuses_nothing():
    result = check(computed(1 + 1e-7), Computing())
    assert result.status == "fail"
