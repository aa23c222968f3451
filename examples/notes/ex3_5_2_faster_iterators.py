# %% [markdown]
"""
# 3.5.2 Faster iterators

Chinese edition 3.5, exercise 2; English edition 4.2. PyTorch's answer is worker processes; JAX's is to have no
iterator: the data lies on the device, and an epoch is one scan that takes its rows itself.
"""

# %%
import os
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
from flax import nnx

from d2l_jax import TrainState, data, losses, make_epoch, make_train_step, optim, supervised
from d2l_jax.models import SoftmaxRegression

WORKERS = [0] if "NOTES_EPOCHS" in os.environ else [0, 2]

images = data.load(kind="image")
print(f"data     {images.name}: {images.source}")
X, y = images.train
full, _ = data.batch_order(len(X), 256, seed=0, epoch=0)

# %% JAX
model = SoftmaxRegression(in_features=X[0].size, rngs=nnx.Rngs(0))
turns = supervised(losses.cross_entropy, optim.SGD(lr=0.1))
step = make_train_step(model, turns)
epoch = make_epoch(step)
on_device = {"input": jnp.asarray(X), "targets": jnp.asarray(y)}


def by_batches(state):
    for rows in full:
        state, _ = step(state, {"input": X[rows], "targets": y[rows]})
    return state


def by_scan(state):
    return epoch(state, on_device, full)[0]


for name, way in (("a loop of batches", by_batches), ("one scan", by_scan)):
    jax.block_until_ready(way(TrainState.create(model, turns)))  # compiles
    begin = time.perf_counter()
    jax.block_until_ready(way(TrainState.create(model, turns)))
    print(f"JAX      an epoch as {name}: {time.perf_counter() - begin:.2f} s")

# %% [markdown]
"""
Workers are forked, which does not go with JAX's threads: PyTorch has a process of its own.
"""

# %% PyTorch
LOADER = """
import sys, time, torch
from torch.utils.data import DataLoader, TensorDataset
from d2l_jax import data
X, y = data.load(kind="image").train
dataset = TensorDataset(torch.from_numpy(X).float() / 255, torch.from_numpy(y).long())
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(X[0].size, 10))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
begin = time.perf_counter()
for inputs, labels in DataLoader(dataset, 256, shuffle=True, num_workers=int(sys.argv[1]), drop_last=True):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(inputs), labels).backward()
    optimizer.step()
print(f"{time.perf_counter() - begin:.2f}")
"""
for workers in WORKERS:
    command = [sys.executable, "-W", "ignore", "-c", LOADER, str(workers)]
    seconds = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    print(f"PyTorch  an epoch with {workers} workers: {seconds} s")
print("notes    workers, or data on the device and one scan per epoch")
