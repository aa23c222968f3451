"""Prove a training step of your own: in JAX with Optax, and in PyTorch, from equal states, batch by batch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from torch.nn.functional import cross_entropy

import parity

MICRO_BATCHES = 3
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)


def torch_step(model, optimizer, batch):
    optimizer.zero_grad()
    for x, y in zip(*(part.chunk(MICRO_BATCHES) for part in batch), strict=True):
        (cross_entropy(model(x), y) / MICRO_BATCHES).backward()
    optimizer.step()


def dense(fan_in, fan_out):
    return {"kernel": jnp.zeros((fan_in, fan_out)), "bias": jnp.zeros(fan_out)}


def loss(params, x, y):
    x = jnp.tanh(x @ params["dense0"]["kernel"] + params["dense0"]["bias"])
    scores = x @ params["dense1"]["kernel"] + params["dense1"]["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()


def jax_step(tx, combine):
    @jax.jit
    def step(state, batch):
        x, y = (part.reshape(MICRO_BATCHES, -1, *part.shape[1:]) for part in batch)
        each = jax.vmap(jax.grad(loss), (None, 0, 0))(state["params"], x, y)
        grads = jax.tree.map(combine, each)
        updates, opt_state = tx.update(grads, state["opt_state"], state["params"])
        return {"params": optax.apply_updates(state["params"], updates), "opt_state": opt_state}

    return step


def matrices(params):
    return jax.tree.map(lambda array: array.ndim > 1, params)


random = np.random.default_rng(0)
batches = [(random.normal(size=(12, 5)).astype(np.float32), random.integers(0, 3, 12)) for _ in range(3)]
params = {"dense0": dense(5, 7), "dense1": dense(7, 3)}  # PyTorch's weights are copied into it
tries = {
    "right": (optax.adamw(0.01, weight_decay=0.1), lambda grads: grads.mean(0)),
    "sum": (optax.adamw(0.01, weight_decay=0.1), lambda grads: grads.sum(0)),
    "mask": (optax.adamw(0.01, weight_decay=0.1, mask=matrices), lambda grads: grads.mean(0)),
}
for name, (tx, combine) in tries.items():
    state = {"params": params, "opt_state": tx.init(params)}
    result = parity.check_step(jax_step(tx, combine), state, torch_step, model, optimizer, batches)
    print(name, result.status, result.blame or "")
