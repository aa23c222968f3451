# %% [markdown]
"""
# A14. Thirteen settings of softmax regression

Chinese edition 3.7, exercise 1; English edition 4.5. Epochs, batch size and learning rate, with the final training
loss of each and its wall time. A rate of 1 does not settle, one of 0.0001 hardly starts; small batches cost time.
"""

# %%
import os
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

from d2l_jax import data

MOST = int(os.environ.get("NOTES_EPOCHS", 100))
SETTINGS = {  # (epochs, batch, rate): what the notes report
    (10, 256, 0.1): "24.4 s", (100, 256, 0.1): "3 min 57 s", (10, 16, 0.1): "1 min 30 s", (10, 64, 0.1): "34.7 s",
    (10, 128, 0.1): "28.4 s", (20, 1024, 0.1): "45.3 s", (20, 128, 0.1): "56.1 s", (10, 256, 1.0): "1.48, 24.8 s",
    (100, 256, 1.0): "1.21", (10, 256, 0.01): "0.637", (10, 256, 0.001): "1.050", (100, 256, 0.001): "0.623",
    (10, 256, 0.0001): "2.349",
}  # fmt: skip

images = data.load(kind="image")
print(f"data     {images.name}: {images.source}")
X = images.train[0].reshape(len(images.train[0]), -1).astype(np.float32) / 255
y = images.train[1]
start = 0.01 * np.random.default_rng(0).standard_normal((X.shape[1], 10), np.float32)


def orders(epochs, batch):
    """Returns of each epoch the full batches, and the smaller last one where there is one."""
    for epoch in range(min(epochs, MOST)):
        full, rest = data.batch_order(len(X), batch, seed=0, epoch=epoch)
        yield (full, rest[None]) if len(rest) else (full,)


# %% JAX
@jax.jit
def descend(params, lr, X, y, batches):
    def loss_of(params, X, y):
        scores = X @ params["W"] + params["b"]
        return -jnp.take_along_axis(jax.nn.log_softmax(scores), y[:, None], 1).mean()

    def step(params, rows):
        loss, grads = jax.value_and_grad(loss_of)(params, X[rows], y[rows])
        return jax.tree.map(lambda p, g: p - lr * g, params, grads), loss * len(rows)

    params, losses = jax.lax.scan(step, params, batches)
    return params, losses.sum()


on_device = jnp.asarray(X), jnp.asarray(y)
final = {}
for epochs, batch, lr in SETTINGS:
    begin = time.perf_counter()
    params = {"W": jnp.asarray(start), "b": jnp.zeros(10)}
    for parts in orders(epochs, batch):
        total = 0.0
        for batches in parts:
            params, losses = descend(params, lr, *on_device, batches)
            total += losses
    final[epochs, batch, lr] = float(total) / len(X)
    print(f"JAX      {epochs}, {batch}, {lr}: {total / len(X):.3f}, {time.perf_counter() - begin:.1f} s", flush=True)

# %% PyTorch
inputs = torch.from_numpy(X)
labels = torch.from_numpy(y).long()
for epochs, batch, lr in SETTINGS:
    begin = time.perf_counter()
    W = torch.tensor(start, requires_grad=True)
    b = torch.zeros(10, requires_grad=True)
    optimizer = torch.optim.SGD([W, b], lr=lr)
    for parts in orders(epochs, batch):
        total = 0.0
        for rows in (rows for batches in parts for rows in batches):
            loss = torch.nn.functional.cross_entropy(inputs[rows] @ W + b, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
    print(f"PyTorch  {epochs}, {batch}, {lr}: {total / len(X):.3f}, {time.perf_counter() - begin:.1f} s", flush=True)

# %%
for (epochs, batch, lr), reported in SETTINGS.items():
    print(f"notes    {epochs}, {batch}, {lr}: {reported}")
figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
axis.barh([f"{epochs} epochs, {batch}, lr {lr}" for epochs, batch, lr in final], list(final.values()))
axis.invert_yaxis()
axis.set(xlabel="final training loss", xscale="log")
plt.show()
