# %% [markdown]
"""
# 3.5.1 Batch size and reading speed

Chinese edition 3.5, exercise 1; English edition 4.2. Examples a second against the batch size, in two ways: rows of an
array on the device, and PyTorch's DataLoader, which calls Python for every example.
"""

# %%
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from d2l_jax import data

images = data.load(kind="image")
print(f"data     {images.name}: {images.source}")
X, y = images.train
SIZES = [1, 16, 256, 1024]
SECONDS = 0.4


def speed(batches):
    """Returns examples a second, of the median batch of a moment's reading."""
    rates = []
    begin = last = time.perf_counter()
    for batch in batches:
        now = time.perf_counter()
        rates.append(len(batch[1]) / (now - last))
        last = now
        if now - begin > SECONDS and len(rates) > 4:
            break
    return float(np.median(rates))


# %% JAX
on_device = jnp.asarray(X), jnp.asarray(y)
take = jax.jit(lambda arrays, rows: (arrays[0][rows].astype(jnp.float32) / 255, arrays[1][rows]))
ours = []
for size in SIZES:
    order = data.batch_order(len(X), size, seed=0, epoch=0).full
    jax.block_until_ready(take(on_device, order[0]))  # compiled before the clock runs
    ours.append(speed(jax.block_until_ready(take(on_device, rows)) for rows in order))
print("JAX      examples a second:", ", ".join(f"batch {n} {s:,.0f}" for n, s in zip(SIZES, ours, strict=True)))

# %% PyTorch
dataset = TensorDataset(torch.from_numpy(X.astype(np.float32) / 255), torch.from_numpy(y))
theirs = [speed(DataLoader(dataset, size, shuffle=True)) for size in SIZES]
print("PyTorch  examples a second:", ", ".join(f"batch {n} {s:,.0f}" for n, s in zip(SIZES, theirs, strict=True)))
print("notes    a batch size of 1 reads slowly")

# %%
plt.loglog(SIZES, ours, "o-", label="rows on the device")
plt.loglog(SIZES, theirs, "o-", label="DataLoader")
plt.xlabel("batch size")
plt.ylabel("examples a second")
plt.legend()
plt.show()
