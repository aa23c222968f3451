"""Optimisers that are written by hand in plain JAX: their moments are compared as the slots of PyTorch's."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from training_steps import BATCHES, EXACT, check, jax_step, loss_and_grads, net, params, torch_step

import parity
from parity.training_step.rounded_alike import rounded_alike


def zeros():
    return jax.tree.map(jnp.zeros_like, params())


def adam_by_hand(state, batch, b2=0.999):
    loss, g = loss_and_grads(state["params"], batch)
    t = state["t"] + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["m"], g)
    v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state["v"], g)

    def moved(p, m, v):
        return p - 0.01 * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - b2**t)) + 1e-8)

    return {"params": jax.tree.map(moved, state["params"], m, v), "m": m, "v": v, "t": t}, loss


def momentum_by_hand(p, velocity, n, batch, folded=False):
    loss, g = loss_and_grads(p, batch)
    rate = jnp.where(n < 2, 0.1, 0.01)
    of_gradient, of_velocity = (-rate, 1.0) if folded else (1.0, -rate)
    velocity = jax.tree.map(lambda v, g: 0.9 * v + of_gradient * g, velocity, g)
    return jax.tree.map(lambda p, v: p + of_velocity * v, p, velocity), velocity, n + 1, loss


def with_momentum(step):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2])
    state = (params(), zeros(), jnp.zeros((), jnp.int32))
    theirs = partial(torch_step, scheduler=scheduler)
    result = parity.check_step(jax.jit(step), state, theirs, model, optimizer, BATCHES, tiers=EXACT)
    assert scheduler.milestones == {2: 1}  # nothing of the user's is changed
    return result


@pytest.mark.slow
@pytest.mark.parametrize(("b2", "passes"), [(0.999, True), (0.99, False)])
def test_moments_of_adam_by_hand(b2, passes):
    model = net()
    state = {"params": params(), "m": zeros(), "v": zeros(), "t": jnp.zeros((), jnp.int32)}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    step = jax.jit(partial(adam_by_hand, b2=b2))
    result = parity.check_step(step, state, torch_step, model, optimizer, BATCHES, tiers=EXACT)
    assert (result.status == "pass") is passes, result.blame
    assert not result.skipped
    slots = {row.key.slot for row in result.rows["float64"] if row.key.phase == "optimizer"}
    assert {"exp_avg", "exp_avg_sq"} <= slots
    assert passes or "0.99" in result.blame.text


def test_a_velocity_by_hand_that_no_name_tells():
    assert with_momentum(momentum_by_hand).status == "pass"


@pytest.mark.slow
def test_control_a_rate_within_the_velocity_shows_when_it_falls():
    result = with_momentum(partial(momentum_by_hand, folded=True))
    assert result.status == "fail"
    assert "momentum_buffer" in result.blame.text


class Named(NamedTuple):
    params: Any
    optimizer: Any
    count: Any


def test_a_named_tuple_that_counts_is_no_state_of_optax():
    model, tx = net(), optax.sgd(0.1)

    @jax.jit
    def step(state, batch):
        loss, g = loss_and_grads(state.params, batch)
        updates, optimizer = tx.update(g, state.optimizer, state.params)
        return Named(optax.apply_updates(state.params, updates), optimizer, state.count + 1), loss

    state = Named(params(), tx.init(params()), jnp.zeros((), jnp.int32))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert parity.check_step(step, state, torch_step, model, optimizer, BATCHES, tiers=EXACT).status == "pass"


@pytest.mark.parametrize(("decay", "passes"), [(0.9, True), (0.8, False)])
def test_a_velocity_in_the_closure_of_pytorchs_step(decay, passes):
    model = net()
    velocity = [torch.zeros_like(parameter) for parameter in model.parameters()]

    def theirs(model, _, batch):
        loss = torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
        grads = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, v, gradient in zip(model.parameters(), velocity, grads, strict=True):
                parameter.sub_(0.1 * v.mul_(0.9).add_(gradient))
        return loss

    def ours(state, batch):
        loss, g = loss_and_grads(state["params"], batch)
        v = jax.tree.map(lambda v, g: decay * v + g, state["velocity"], g)
        return {"params": jax.tree.map(lambda p, v: p - 0.1 * v, state["params"], v), "velocity": v}, loss

    state = {"params": params(), "velocity": zeros()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    result = parity.check_step(jax.jit(ours), state, theirs, model, optimizer, BATCHES[:2], tiers=EXACT)
    assert (result.status == "pass") is passes, result.blame


def test_single_numbers_are_rounded_where_pytorch_has_tensors_of_them():
    third, seventh = np.float64(1) / 3, np.float64(1) / 7
    with jax.enable_x64():
        leaves = {("tensor",): jnp.asarray(third), ("number",): jnp.asarray(seventh), ("many",): jnp.full(2, third)}
        leaves["sum",] = jnp.full(2, third + seventh)  # of gradients, which PyTorch keeps as they are
        after = rounded_alike(leaves, [np.float32(third), np.full((1, 2), third, np.float32)])
    assert after["tensor",] == np.float32(third) and (after["many",] == np.float32(third)).all()
    assert after["number",] == seventh and (after["sum",] == third + seventh).all()


class NoRate(torch.optim.Optimizer):
    """Has its rate in a group's entry of another name."""

    def __init__(self, model, step_size=0.1):
        super().__init__(model.parameters(), {"step_size": step_size})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["step_size"] * p.grad


@pytest.mark.parametrize(("factor", "cause"), [(1.0, ""), (2.0, "gradient-scale")])
def test_an_optimiser_whose_groups_have_no_rate(factor, cause):
    tx = optax.sgd(0.1 * factor)
    result = check(jax_step(tx), tx, torch_step, NoRate)
    assert result.status == ("fail" if cause else "pass"), result.blame
    assert not cause or "not found" not in result.blame.text
