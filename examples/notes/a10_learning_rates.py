# %% [markdown]
"""
# A10. Four learning rates

Chinese edition 3.2, exercise 6; English edition 3.4. A large rate falls fast and then does not settle: it hovers
above the noise. In JAX `vmap` trains all four at once, in one compiled program.
"""

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

from d2l_jax import data

EPOCHS = int(os.environ.get("NOTES_EPOCHS", 10))
RATES = np.array([0.5, 0.3, 0.1, 0.01], np.float32)

X, y = data.synthetic_regression([2, -3.4], 4.2, num_train=1000).train
start = 0.01 * np.random.default_rng(0).standard_normal((2, 1), np.float32)
order = np.stack([data.batch_order(len(X), 10, seed=0, epoch=epoch).full for epoch in range(EPOCHS)])


# %% JAX
def loss_of(params, X, y):
    return ((X @ params["w"] + params["b"] - y) ** 2 / 2).mean()


@jax.jit
def train(lr, order):
    def step(params, rows):
        grads = jax.grad(loss_of)(params, X[rows], y[rows])
        return jax.tree.map(lambda p, g: p - lr * g, params, grads), None

    def epoch(params, rows):
        params, _ = jax.lax.scan(step, params, rows)
        return params, loss_of(params, X, y)

    return jax.lax.scan(epoch, {"w": jnp.asarray(start), "b": jnp.zeros(1)}, order)[1]


X = jnp.asarray(X)
y = jnp.asarray(y)
curves = np.asarray(jax.vmap(train, (0, None))(RATES, order))
for lr, curve in zip(RATES, curves, strict=True):
    print(f"JAX      lr {lr:g}: loss {curve[0]:.2e} after epoch 1, {curve[-1]:.2e} after epoch {EPOCHS}")

# %% PyTorch
inputs, labels = (torch.from_numpy(np.array(array)) for array in (X, y))
for lr in RATES.tolist():
    w = torch.tensor(start, requires_grad=True)
    b = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([w, b], lr=lr)
    curve = []
    for epoch in order:
        for rows in epoch:
            optimizer.zero_grad()
            ((inputs[rows] @ w + b - labels[rows]) ** 2 / 2).mean().backward()
            optimizer.step()
        curve.append(((inputs @ w + b - labels) ** 2 / 2).mean().item())
    print(f"PyTorch  lr {lr:g}: loss {curve[0]:.2e} after epoch 1, {curve[-1]:.2e} after epoch {EPOCHS}")
print("notes    large rates fall fast and then do not settle")

# %%
for lr, curve in zip(RATES, curves, strict=True):
    plt.plot(range(1, EPOCHS + 1), curve, label=f"lr {lr:g}")
plt.axhline(0.01**2 / 2, color="gray", linestyle=":", label="the noise alone")
plt.yscale("log")
plt.xlabel("epoch")
plt.ylabel("loss")
plt.legend()
plt.show()
