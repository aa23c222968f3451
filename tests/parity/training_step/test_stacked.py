"""Ensembles that JAX keeps in arrays with an axis for the members, and PyTorch in a list of modules."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from training_steps import BATCHES, EXACT, loss_of, net, params

import parity
from d2l_jax.errors import InputError

MEMBERS = 3


def ensemble(rate, own, members=MEMBERS):
    """Gives JAX's step and state; `own`: every member has an Adam of its own."""
    tx = optax.adam(rate)
    start = jax.tree.map(lambda x: jnp.stack([x] * members), params())
    init, update = (jax.vmap(tx.init), jax.vmap(tx.update)) if own else (tx.init, tx.update)

    @jax.jit
    def step(params, opt, batch):
        losses, grads = jax.vmap(jax.value_and_grad(loss_of), (0, None))(params, batch)
        updates, opt = update(grads, opt)
        return optax.apply_updates(params, updates), opt, losses.sum()

    return step, (start, init(start))


def nets(members=MEMBERS):
    several = torch.nn.ModuleList(net() for _ in range(members))
    with torch.no_grad():
        for parameter in several.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return several


def torch_step(models, optimizers, batch):
    x, y = batch
    losses = [torch.nn.functional.cross_entropy(model(x), y) for model in models]
    for optimizer in optimizers:
        optimizer.zero_grad()
    torch.stack(losses).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    return torch.stack(losses).sum()


def check(own, each, rate=0.01):
    """Checks the ensemble; `each`: PyTorch has an Adam for every model."""
    step, state = ensemble(rate, own)
    models = nets()
    groups = [model.parameters() for model in models] if each else [models.parameters()]
    optimizers = [torch.optim.Adam(group, lr=0.01) for group in groups]
    return parity.check_step(step, state, torch_step, models, optimizers, BATCHES[:2], tiers=EXACT)


@pytest.mark.parametrize("own, each", [(True, True), (False, False)])
def test_members_of_a_stack_are_pytorchs_models(own, each):
    result = check(own, each)
    assert result.status == "pass", result.blame
    assert {leaf.key.partition(".")[0] for leaf in result.weights or ()} == {"0", "1", "2"}
    slots = {row.key.slot for row in result.rows["float64"] if row.key.phase == "optimizer"}
    assert {"exp_avg", "exp_avg_sq"} <= slots


class Net(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(5, 7, rngs=rngs)
        self.last = nnx.Linear(7, 3, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.tanh(self.first(x)))


@pytest.mark.slow
@pytest.mark.parametrize("rate, status", [(0.01, "pass"), (0.02, "fail")])
def test_modules_of_nnx_that_are_stacked(rate, status):
    stack = nnx.vmap(lambda key: Net(nnx.Rngs(key)))(jax.random.split(jax.random.key(0), MEMBERS))
    optimizer = nnx.Optimizer(stack, optax.adam(rate), wrt=nnx.Param)

    @nnx.jit
    def step(stack, optimizer, batch):
        x, y = batch

        def loss_of(stack):
            scores = nnx.vmap(lambda net, x: net(x), in_axes=(0, None))(stack, x)
            return optax.softmax_cross_entropy_with_integer_labels(scores, jnp.stack([y] * MEMBERS)).mean(1).sum()

        loss, grads = nnx.value_and_grad(loss_of)(stack)
        optimizer.update(stack, grads)
        return loss

    models = nets()
    several = [torch.optim.Adam(models.parameters(), lr=0.01)]
    result = parity.check_step(step, (stack, optimizer), torch_step, models, several, BATCHES[:2], tiers=EXACT)
    assert result.status == status, result.blame


def test_control_another_rate_of_a_stack_is_named():
    result = check(False, True, rate=0.02)
    assert result.status == "fail" and result.blame and "0.02" in result.blame.text, result.blame


def test_control_a_stack_of_another_number_of_members_is_refused():
    step, state = ensemble(0.01, True, MEMBERS - 1)
    models = nets()
    optimizer = [torch.optim.Adam(models.parameters(), lr=0.01)]
    with pytest.raises(InputError, match="do not hold the same tensors"):
        parity.check_step(step, state, torch_step, models, optimizer, BATCHES[:1], tiers=EXACT)
    assert np.shape(state[0]["dense0"]["bias"]) == (2, 7)
