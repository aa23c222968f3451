# %% [markdown]
"""
# A2. Softmax regression from scratch on Fashion-MNIST

Chinese edition 3.6, English edition 4.4. One matrix, one bias, the cross-entropy by hand. In JAX an epoch is one
compiled scan over images that stay on the device; in PyTorch it is a loop. Start and batches are the same.
"""

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

from d2l_jax import data

EPOCHS = int(os.environ.get("NOTES_EPOCHS", 30))
BATCH = 256
LR = 0.1

images = data.load(kind="image")  # Fashion-MNIST; where it cannot be found, the embedded digits
print(f"data     {images.name}: {images.source}")
X, X_test = (x.reshape(len(x), -1).astype(np.float32) / 255 for x in (images.train[0], images.test[0]))
y = images.train[1]
y_test = images.test[1]
start = 0.01 * np.random.default_rng(0).standard_normal((X.shape[1], 10), np.float32)
order = [data.batch_order(len(X), BATCH, seed=0, epoch=epoch) for epoch in range(EPOCHS)]


# %% JAX
def scores(params, X):
    return X @ params["W"] + params["b"]


def cross_entropy(params, X, y):
    logits = scores(params, X)
    log_p = logits - jax.scipy.special.logsumexp(logits, axis=1, keepdims=True)
    right = (logits.argmax(1) == y).sum()
    return -jnp.take_along_axis(log_p, y[:, None], 1).mean(), right


@jax.jit
def descend(params, X, y, batches):
    def step(params, rows):
        (loss, right), grads = jax.value_and_grad(cross_entropy, has_aux=True)(params, X[rows], y[rows])
        return jax.tree.map(lambda p, g: p - LR * g, params, grads), (loss * len(rows), right)

    return jax.lax.scan(step, params, batches)


params = {"W": jnp.asarray(start), "b": jnp.zeros(10)}
on_device = jnp.asarray(X), jnp.asarray(y)
curve = []
for full, rest in order:
    sums = np.zeros(2)
    for batches in (full, rest[None]):
        params, (losses, right) = descend(params, *on_device, batches)
        sums += losses.sum(), right.sum()
    curve.append(sums / len(X))
for epoch in (1, EPOCHS):
    print(f"JAX      epoch {epoch}: loss {curve[epoch - 1][0]:.4f}, accuracy {curve[epoch - 1][1]:.4f}")
accuracy = (scores(params, X_test).argmax(1) == y_test).mean()
print(f"JAX      test accuracy {accuracy:.4f}")

# %% PyTorch
W = torch.tensor(start, requires_grad=True)
b = torch.zeros(10, requires_grad=True)
inputs = torch.from_numpy(X)
labels = torch.from_numpy(y).long()
for full, rest in order:
    for rows in (*full, rest):
        log_p = torch.log_softmax(inputs[rows] @ W + b, 1)
        (-log_p[torch.arange(len(rows)), labels[rows]].mean()).backward()
        with torch.no_grad():
            for p in (W, b):
                p -= LR * p.grad
                p.grad = None
accuracy = ((torch.from_numpy(X_test) @ W + b).argmax(1).numpy() == y_test).mean()
print(f"PyTorch  test accuracy {accuracy:.4f}")
print("notes    epoch 1: loss 0.7859, accuracy 0.7493")
print("notes    epoch 30: loss 0.4072, accuracy 0.8609")
print("notes    test accuracy 0.8417, 145 s on a GPU")

# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for panel, values, name in zip(panels, np.transpose(curve), ("loss", "accuracy"), strict=True):
    panel.plot(range(1, EPOCHS + 1), values)
    panel.set(xlabel="epoch", ylabel=f"training {name}")
plt.show()
