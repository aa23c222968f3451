# %% [markdown]
"""
# A1. Linear regression from scratch, three features

Chinese edition 3.2, English edition 3.4. Minibatch descent on the halved squared error recovers the weights
that the data was drawn with. Both frameworks start from the same numbers and see the same batches.
"""

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

from d2l_jax import data

EPOCHS = int(os.environ.get("NOTES_EPOCHS", 20))
BATCH = 30
LR = 0.008
TRUE_W = np.array([1.1, -4.5, 1.4], np.float32)
TRUE_B = 1.191981

points = data.synthetic_regression(TRUE_W, TRUE_B, noise=0.01, num_train=2000, num_val=100, seed=1)
X, y = points.train
start = 0.01 * np.random.default_rng(0).standard_normal((3, 1), np.float32)
order = [data.batch_order(len(X), BATCH, seed=0, epoch=epoch) for epoch in range(EPOCHS)]


# %% JAX
def predict(params, X):
    return X @ params["w"] + params["b"]


def loss_of(params, X, y):
    return jnp.mean((predict(params, X) - y) ** 2) / 2


@jax.jit
def descend(params, batches):
    def step(params, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, *batch)
        return jax.tree.map(lambda p, g: p - LR * g, params, grads), loss

    return jax.lax.scan(step, params, batches)


params = {"w": jnp.asarray(start), "b": jnp.zeros(1)}
curve = []
for full, rest in order:
    params, losses = descend(params, (X[full], y[full]))
    params, last = descend(params, (X[rest][None], y[rest][None]))  # 2000 = 66 * 30 + 20
    curve.append((losses.sum() * BATCH + last.sum() * len(rest)) / len(X))
print("loss    ", " ".join(f"{loss:.5f}" for loss in curve))
w_error = TRUE_W - params["w"].ravel()
print(f"JAX      errors of w {np.round(w_error, 4)}, of b {TRUE_B - params['b'][0]:.4f}")

# %% PyTorch
w = torch.tensor(start, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
inputs, labels = map(torch.from_numpy, (X, y))
for full, rest in order:
    for rows in (*full, rest):
        loss = ((inputs[rows] @ w + b - labels[rows]) ** 2).mean() / 2
        loss.backward()
        with torch.no_grad():
            for p in (w, b):
                p -= LR * p.grad
                p.grad = None
w_error = TRUE_W - w.detach().numpy().ravel()
print(f"PyTorch  errors of w {np.round(w_error, 4)}, of b {TRUE_B - b.item():.4f}")
print("notes    errors of w and b near 0")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.plot(range(1, EPOCHS + 1), curve)
left.set(xlabel="epoch", ylabel="loss", yscale="log")
X_test, y_test = points.test
right.plot(y_test, predict(params, X_test), ".", label="100 samples")
right.axline((0, 0), slope=1, color="gray", label="y = x")
right.set(xlabel="true label", ylabel="predicted label")
right.legend()
plt.show()
