# %% [markdown]
"""
# A6. Save and load: a tensor, a model's parameters, an optimiser's state

Chinese edition 5.5, English edition 6.6. Training that was stopped, saved and loaded must end with the very bits of
training that never stopped. AdamW remembers two averages and a count; without them it goes another way.
"""

# %%
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from d2l_jax import TrainState, losses, make_train_step, optim, supervised
from d2l_jax.models import SavedMLP
from d2l_jax.train import checkpoint
from parity import reference

folder = Path(tempfile.mkdtemp())
random = np.random.default_rng(0)
batches = [(random.normal(size=(8, 20)).astype(np.float32), random.integers(0, 10, 8)) for _ in range(10)]

# %% JAX
jnp.save(folder / "x.npy", jnp.arange(4))
print("tensor   ", jnp.load(folder / "x.npy"))

model = SavedMLP(rngs=nnx.Rngs(0))
turns = supervised(losses.cross_entropy, optim.AdamW(lr=0.01))
step = make_train_step(model, turns)


def train(state, batches):
    for X, y in batches:
        state, _ = step(state, {"input": X, "targets": y})
    return state


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


without_a_stop = train(TrainState.create(model, turns), batches)
stopped = train(TrainState.create(model, turns), batches[:5])
checkpoint.save(folder / "jax", 5, stopped, {})
loaded = checkpoint.restore(folder / "jax", 5, TrainState.create(model, turns)).state
fresh = TrainState.start(loaded.params, loaded.buffers, turns)
print("JAX      goes on bit for bit:", same(train(loaded, batches[5:]), without_a_stop))
print("JAX      with a new optimiser:", same(train(fresh, batches[5:]).params, without_a_stop.params))

# %% PyTorch
torch.manual_seed(0)
start = reference.SavedMLP().state_dict()


def torch_train(batches, saved=None, keep_optimizer=True):
    """Trains from the start, or from what was saved, and returns what is to be saved."""
    net = reference.SavedMLP()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    net.load_state_dict(saved["net"] if saved else start)
    if saved and keep_optimizer:
        optimizer.load_state_dict(saved["optimizer"])
    for X, y in batches:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(torch.from_numpy(X)), torch.from_numpy(y)).backward()
        optimizer.step()
    return {"net": net.state_dict(), "optimizer": optimizer.state_dict()}


def torch_same(a, b):
    return all(torch.equal(a["net"][name], b["net"][name]) for name in a["net"])


whole = torch_train(batches)
torch.save(torch_train(batches[:5]), folder / "torch.pt")
loaded = torch.load(folder / "torch.pt")
print("PyTorch  goes on bit for bit:", torch_same(torch_train(batches[5:], loaded), whole))
print("PyTorch  with a new optimiser:", torch_same(torch_train(batches[5:], loaded, keep_optimizer=False), whole))
print("notes    training continues from a saved optimiser as if never stopped")
