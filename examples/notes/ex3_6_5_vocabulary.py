# %% [markdown]
"""
# 3.6.5 A large vocabulary

Chinese edition 3.6, exercise 5; English edition 4.4. The matrix in front of the softmax grows with the number of
classes, and so does the time; the probabilities shrink to about 1 / classes: one score must stand out by log classes.
"""

# %%
import os
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

CLASSES = [100, 1000, 10_000] + ([] if "NOTES_EPOCHS" in os.environ else [100_000])
WIDTH = 64
BATCH = 32
random = np.random.default_rng(0)
H = random.normal(size=(BATCH, WIDTH)).astype(np.float32)


# %% JAX
@jax.jit
def loss_and_slope(W, H, y):
    def loss_of(W):
        return -jnp.take_along_axis(jax.nn.log_softmax(H @ W), y[:, None], 1).mean()

    return jax.value_and_grad(loss_of)(W)


times = []
for classes in CLASSES:
    W = jax.random.normal(jax.random.key(0), (WIDTH, classes)) / WIDTH**0.5
    y = jnp.arange(BATCH) % classes
    loss, _ = jax.block_until_ready(loss_and_slope(W, H, y))
    rounds = []
    for _ in range(10):
        begin = time.perf_counter()
        jax.block_until_ready(loss_and_slope(W, H, y))
        rounds.append(time.perf_counter() - begin)
    times.append(min(rounds))
    largest = jax.nn.softmax(H @ W).max(1).mean()
    needed = np.log(classes - 1)  # the lead that gives a probability of 1/2
    print(
        f"JAX      {classes} classes: {times[-1] * 1e3:.2f} ms, loss {loss:.2f}, "
        f"largest p {largest:.4f}, lead for p = 1/2 {needed:.1f}"
    )

# %% PyTorch
for classes in CLASSES:
    W = torch.randn(WIDTH, classes).div_(WIDTH**0.5).requires_grad_()
    y = torch.arange(BATCH) % classes
    rounds = []
    for _ in range(10):
        begin = time.perf_counter()
        torch.nn.functional.cross_entropy(torch.from_numpy(H) @ W, y).backward()
        rounds.append(time.perf_counter() - begin)
    print(f"PyTorch  {classes} classes: {min(rounds) * 1e3:.2f} ms")
print("notes    cost and probabilities against the number of classes")

# %%
plt.loglog(CLASSES, np.array(times) * 1e3, "o-")
plt.xlabel("classes")
plt.ylabel("milliseconds, loss and gradient")
plt.show()
