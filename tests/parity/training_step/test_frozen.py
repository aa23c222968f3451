"""Models that nothing trains beside the one that learns: a reference, a target network."""

import jax
import jax.numpy as jnp
import optax
import pytest
import torch
from training_steps import BATCHES, EXACT, net, params

import parity


def values(params, x):
    x = jnp.tanh(x @ params["dense0"]["kernel"] + params["dense0"]["bias"])
    return x @ params["dense1"]["kernel"] + params["dense1"]["bias"]


def step_with(share, tx):
    @jax.jit
    def step(policy, reference, opt, batch):
        def loss(params):
            return jnp.mean((values(params, batch[0]) - 2 * values(reference, batch[0])) ** 2)

        value, grads = jax.value_and_grad(loss)(policy)
        updates, opt = tx.update(grads, opt, policy)
        policy = optax.apply_updates(policy, updates)
        reference = jax.tree.map(lambda old, new: old + share * (new - old), reference, policy)
        return policy, reference, opt, value

    return step


def torch_step(models, optimizer, batch):
    with torch.no_grad():
        target = 2 * models["reference"](batch[0])
    loss = (models["policy"](batch[0]) - target).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for old, new in zip(models["reference"].parameters(), models["policy"].parameters(), strict=True):
            old.lerp_(new, 0.1)
    return loss


@pytest.mark.parametrize(("share", "cause"), [(0.1, ""), (0.2, "ema-decay")])
def test_a_frozen_model_of_the_dict_is_a_copy(share, cause):
    models = {"policy": net(), "reference": net().requires_grad_(False)}
    tx = optax.sgd(0.1)
    state = params(), params(), tx.init(params())
    optimizer = torch.optim.SGD(models["policy"].parameters(), lr=0.1)
    result = parity.check_step(step_with(share, tx), state, torch_step, models, optimizer, BATCHES[:2], tiers=EXACT)
    assert result.status == ("fail" if cause else "pass"), result.blame
    assert not cause or result.blame.cause == cause
    assert not result.skipped
