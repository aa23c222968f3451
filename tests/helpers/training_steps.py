"""A small training step in PyTorch and the same in JAX, into which mistakes are planted."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

import parity

MICRO = 3
random = np.random.default_rng(0)
BATCHES = [(random.normal(size=(12, 5)).astype(np.float32), random.integers(0, 3, 12)) for _ in range(3)]
EXACT = ("float64",)
BOTH = ("float64", "float32")


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))


def params():
    return {"dense0": _dense(5, 7), "dense1": _dense(7, 3)}


def _dense(fan_in, fan_out):
    return {"kernel": jnp.zeros((fan_in, fan_out)), "bias": jnp.zeros(fan_out)}


def loss_of(params, batch):
    x, y = batch
    x = jnp.tanh(x @ params["dense0"]["kernel"] + params["dense0"]["bias"])
    scores = x @ params["dense1"]["kernel"] + params["dense1"]["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()


loss_and_grads = jax.value_and_grad(loss_of)


def jax_step(tx, grads=loss_and_grads, after=lambda state, new: {}):
    """Gives a step over {"params", "opt", ...}; `after` makes what else the new state has."""

    @partial(jax.jit, donate_argnums=0)
    def step(state, batch):
        loss, g = grads(state["params"], batch)
        updates, opt = tx.update(g, state["opt"], state["params"])
        new = state | {"params": optax.apply_updates(state["params"], updates), "opt": opt}
        return new | after(state, new), loss

    return step


def torch_step(model, optimizer, batch, clip=None, scheduler=None):
    x, y = batch
    optimizer.zero_grad()
    loss = cross_entropy(model(x), y)
    loss.backward()
    if clip:
        clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    if scheduler:
        scheduler.step()
    return loss


def accumulating(model, optimizer, batch, clip=None):
    x, y = batch
    optimizer.zero_grad()
    total = 0.0
    for xs, ys in zip(x.chunk(MICRO), y.chunk(MICRO), strict=True):
        loss = cross_entropy(model(xs), ys) / MICRO
        loss.backward()
        total += loss.item()
    if clip:
        clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return total


def micro(params, batch, combine):
    parts = jax.tree.map(lambda a: a.reshape(MICRO, -1, *a.shape[1:]), batch)
    losses, grads = jax.vmap(jax.value_and_grad(loss_of), (None, 0))(params, parts)
    return losses.mean(), jax.tree.map(combine, grads)


def check(step, tx, theirs, optimizer, model=None, tiers=EXACT, more=None, **options):
    model = model or net()
    start = params()
    state = {"params": start, "opt": tx.init(start), "step": 0} | (more or {})
    return parity.check_step(step, state, theirs, model, optimizer(model), BATCHES, tiers=tiers, **options)


def adam(model, **options):
    return torch.optim.Adam(model.parameters(), lr=0.01, **options)


def sgd(model, **options):
    return torch.optim.SGD(model.parameters(), lr=0.1, **options)


def named(result, cause, *words, step=1):
    """Asserts that the step is wrong, from which step on, why and in which words."""
    assert result.status == "fail"
    assert result.blame and result.blame.cause == cause, result.blame
    assert not step or f"step {step}," in result.blame.text
    for word in words:
        assert word in result.blame.text, result.blame.text
