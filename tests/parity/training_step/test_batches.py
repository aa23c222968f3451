"""Batches of a user's training step that hold infinities, as masks do that are added to scores."""

import jax
import numpy as np
import optax
import pytest
import torch
from training_steps import BATCHES, EXACT, net, params, sgd
from training_steps import loss_of as loss_without

import parity


def masked(batch, seed):
    """Gives the batch with a mask that forbids one class of every row, never its own."""
    x, y = batch
    mask = np.zeros((len(y), 3), np.float32)
    mask[np.arange(len(y)), (y + 1 + seed % 2) % 3] = -np.inf
    return x, y, mask


def torch_step(model, optimizer, batch):
    x, y, mask = batch
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(x) + mask, y)
    loss.backward()
    optimizer.step()
    return loss


def loss_with(params, batch):
    x, y, mask = batch
    hidden = jax.numpy.tanh(x @ params["dense0"]["kernel"] + params["dense0"]["bias"])
    scores = hidden @ params["dense1"]["kernel"] + params["dense1"]["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(scores + mask, y).mean()


@pytest.mark.parametrize(
    ("loss_of", "status"), [(loss_with, "pass"), (lambda params, batch: loss_without(params, batch[:2]), "fail")]
)
def test_a_mask_of_infinities(loss_of, status):
    tx, model = optax.sgd(0.1), net()

    @jax.jit
    def step(state, batch):
        loss, grads = jax.value_and_grad(loss_of)(state["params"], batch)
        updates, opt = tx.update(grads, state["opt"], state["params"])
        return {"params": optax.apply_updates(state["params"], updates), "opt": opt}, loss

    batches = [masked(batch, seed) for seed, batch in enumerate(BATCHES[:2])]
    start = params()
    state = {"params": start, "opt": tx.init(start)}
    result = parity.check_step(step, state, torch_step, model, sgd(model), batches, tiers=EXACT)
    assert result.status == status, result.blame
