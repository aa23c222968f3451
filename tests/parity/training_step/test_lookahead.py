"""Optax's lookahead: its fast weights are the parameters, its slow ones a copy of them."""

import copy
from functools import partial

import jax
import optax
import pytest
import torch
from training_steps import BATCHES, EXACT, loss_and_grads, net, params, sgd
from training_steps import torch_step as plain_step

import parity


def torch_step(model, optimizer, batch, slow, count):
    loss = plain_step(model, optimizer, batch)
    count[0] += 1
    if count[0] % 2 == 0:
        with torch.no_grad():
            for s, p in zip(slow.parameters(), model.parameters(), strict=True):
                s.add_(p - s, alpha=0.5)
                p.copy_(s)
    return loss


@pytest.mark.parametrize("momentum", [None, 0.9])
@pytest.mark.parametrize("size, right", [(0.5, True), (0.8, False)])
def test_lookahead_parameters(size, right, momentum):
    tx = optax.lookahead(optax.sgd(0.1, momentum), sync_period=2, slow_step_size=size)

    @jax.jit
    def step(state, batch):
        both, opt = state
        loss, grads = loss_and_grads(both.fast, batch)
        updates, opt = tx.update(grads, opt, both)
        return (optax.apply_updates(both, updates), opt), loss

    both = optax.LookaheadParams.init_synced(params())
    model = net()
    slow = copy.deepcopy(model)
    theirs = partial(torch_step, slow=slow, count=[0])
    optimizer, state = sgd(model, momentum=momentum or 0), (both, tx.init(both))
    result = parity.check_step(
        step, state, theirs, model, optimizer, BATCHES[:2], torch_state={"slow": slow}, tiers=EXACT
    )
    failing = {(row.key.step, row.key.phase) for row in result.rows["float64"] if not row.passed}
    assert (result.status == "pass") is right, result.blame
    assert not result.skipped and {row.key.slot for row in result.rows["float64"]} >= {"slow"}
    assert right or (failing >= {(2, "update"), (2, "buffers")} and not any(step == 1 for step, _ in failing))
