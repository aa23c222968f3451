# %% [markdown]
"""
# A8. Softmax regression with helpers of one's own

Chinese edition 3.6, English edition 4.4. A training epoch takes either a hand-written update or an optimiser; a
picture grows while it trains, and at the end shows test images, the true label over the predicted one.
"""

# %%
import os
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import torch

from d2l_jax import data

EPOCHS = int(os.environ.get("NOTES_EPOCHS", 10))
BATCH = 256
LR = 0.1

images = data.load(kind="image")
print(f"data     {images.name}: {images.source}")
(X, y), (X_test, y_test) = ((x.reshape(len(x), -1).astype(np.float32) / 255, y) for x, y in (images.train, images.test))
start = {"W": 0.01 * np.random.default_rng(0).standard_normal((X.shape[1], 10), np.float32), "b": np.zeros(10, "f")}


# %% JAX
def softmax(scores):
    e = jnp.exp(scores)
    return e / e.sum(1, keepdims=True)


def net(params, X):
    return softmax(X @ params["W"] + params["b"])


def cross_entropy(p, y):
    return -jnp.log(p[jnp.arange(len(y)), y])


def accuracy(p, y):
    return (p.argmax(1) == y).sum()


class Accumulator:
    """Sums of n numbers."""

    def __init__(self, n):
        self.sums = np.zeros(n)

    def add(self, *numbers):
        self.sums += numbers


def evaluate_accuracy(params, X, y):
    sums = Accumulator(2)
    for rows in np.array_split(np.arange(len(X)), max(1, len(X) // 1000)):
        sums.add(accuracy(net(params, X[rows]), y[rows]), len(rows))
    return sums.sums[0] / sums.sums[1]


def by_hand(params, grads, memory):
    return jax.tree.map(lambda p, g: p - LR * g, params, grads), memory


def with_optax(params, grads, memory):
    updates, memory = optax.sgd(LR).update(grads, memory, params)
    return optax.apply_updates(params, updates), memory


@partial(jax.jit, static_argnums=0)
def step(update, params, memory, X, y):
    def loss_of(params):
        p = net(params, X)
        return cross_entropy(p, y).mean(), p

    (loss, p), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
    params, memory = update(params, grads, memory)
    return params, memory, loss * len(y), accuracy(p, y)


def train_epoch(update, params, memory, epoch):
    sums = Accumulator(3)
    full, rest = data.batch_order(len(X), BATCH, seed=0, epoch=epoch)
    for rows in (*full, rest):
        params, memory, loss, right = step(update, params, memory, X[rows], y[rows])
        sums.add(loss, right, len(rows))
    return params, memory, sums.sums[:2] / sums.sums[2]


figure, panel = plt.subplots(layout="constrained")
results = {}
for update in (by_hand, with_optax):
    params = jax.tree.map(jnp.asarray, start)
    memory = optax.sgd(LR).init(params)
    if update is by_hand:
        print(f"untrained accuracy {evaluate_accuracy(params, X_test, y_test):.4f}")
    curves = []
    for epoch in range(EPOCHS):
        params, memory, (loss, right) = train_epoch(update, params, memory, epoch)
        curves.append((loss, right, evaluate_accuracy(params, X_test, y_test)))
        if update is by_hand:
            panel.clear()
            panel.plot(range(1, epoch + 2), curves, label=["train loss", "train accuracy", "test accuracy"])
            panel.set(xlabel="epoch", xlim=(0.9, max(2, EPOCHS)), ylim=(0, 1.2))
            panel.legend()
            plt.pause(0.001)
    results[update] = curves[-1]
loss, right, test = results[by_hand]
print(f"JAX      train loss {loss:.4f}, train accuracy {right:.4f}, test accuracy {test:.4f}")
print("by hand and with Optax the same:", np.allclose(results[by_hand], results[with_optax], atol=1e-5))

# %% PyTorch
W, b = (torch.tensor(start[name], requires_grad=True) for name in ("W", "b"))
optimizer = torch.optim.SGD([W, b], lr=LR)
for epoch in range(EPOCHS):
    sums = Accumulator(3)
    full, rest = data.batch_order(len(X), BATCH, seed=0, epoch=epoch)
    for rows in (*full, rest):
        scores = torch.from_numpy(X[rows]) @ W + b
        labels = torch.from_numpy(y[rows]).long()
        loss = torch.nn.functional.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums.add(loss.item() * len(rows), (scores.argmax(1) == labels).sum().item(), len(rows))
test = ((torch.from_numpy(X_test) @ W + b).argmax(1).numpy() == y_test).mean()
loss, right = sums.sums[:2] / sums.sums[2]
print(f"PyTorch  train loss {loss:.4f}, train accuracy {right:.4f}, test accuracy {test:.4f}")
print("notes    train loss < 0.5, train and test accuracy in (0.7, 1], untrained accuracy near 0.1")

# %%
figure, grid = plt.subplots(2, 6, figsize=(9, 3.6), layout="constrained")
for axis, image, true, guess in zip(grid.flat, images.test[0], y_test, net(params, X_test[:12]).argmax(1)):
    axis.imshow(image.squeeze(), cmap="gray")
    axis.set_title(f"{images.classes[true]}\n{images.classes[int(guess)]}", fontsize=8)
    axis.set_axis_off()
plt.show()
