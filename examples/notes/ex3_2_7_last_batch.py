# %% [markdown]
"""
# 3.2.7 A batch size that does not divide the data

Chinese edition 3.2, exercise 7; English edition 3.4. The last batch is smaller, and no example is lost. A compiled
scan wants batches of one size, so `batch_order` returns the full ones and the rest apart: two compilations, not more.
"""

# %%
import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from d2l_jax import data

N = 1000
SIZE = 48

# %% JAX
full, rest = data.batch_order(N, SIZE, seed=0, epoch=0)
seen = np.sort(np.concatenate([full.ravel(), rest]))
print(f"JAX      {full.shape[0]} batches of {full.shape[1]}, one of {len(rest)}")
print("JAX      every example once:", np.array_equal(seen, np.arange(N)))
another = data.batch_order(N, SIZE, seed=0, epoch=1)
print("another order in the next epoch:", not np.array_equal(full, another.full))

# %% PyTorch
numbers = TensorDataset(torch.arange(N))
sizes = [len(batch) for (batch,) in DataLoader(numbers, SIZE, shuffle=True)]
print(f"PyTorch  {sizes.count(SIZE)} batches of {SIZE}, one of {sizes[-1]}")
print("PyTorch  with drop_last lost:", N - sum(len(b) for (b,) in DataLoader(numbers, SIZE, drop_last=True)))
print("notes    the last batch is smaller; none is lost")
