# %% [markdown]
"""
# 3.3.1 The sum of the losses in place of their mean

Chinese edition 3.3, exercise 1; English edition 3.5. The gradient of a sum is batch-size times that of the mean, so a
rate divided by the batch size leads along the same path. With the old rate the steps are far too long.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

from d2l_jax import data

BATCH = 10
LR = 0.03
X, y = data.synthetic_regression([2, -3.4], 4.2, num_train=1000).train
rows = data.batch_order(len(X), BATCH, seed=0, epoch=0).full


# %% JAX
def train(reduce, lr):
    def step(w, rows):
        error = lambda w: (X[rows] @ w[:2, None] + w[2] - y[rows]) ** 2  # noqa: E731
        w = w - lr * jax.grad(lambda w: reduce(error(w)))(w)
        return w, w

    return jax.lax.scan(step, jnp.zeros(3), rows)[1]


X = jnp.asarray(X)
y = jnp.asarray(y)
mean = train(jnp.mean, LR)
total = train(jnp.sum, LR / BATCH)
print(f"JAX      lr / {BATCH}: largest gap between the paths {jnp.abs(mean - total).max():.0e}")
print("JAX      the old rate: w, b", train(jnp.sum, 3 * LR)[-1], "at three times the rate of the mean")

# %% PyTorch
paths = []
for reduction, lr in (("mean", LR), ("sum", LR / BATCH)):
    w = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=lr)
    path = []
    for batch in rows:
        inputs, labels = (torch.from_numpy(np.array(array[batch])) for array in (X, y))
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(inputs @ w[:2, None] + w[2], labels, reduction=reduction).backward()
        optimizer.step()
        path.append(w.detach().numpy().copy())
    paths.append(np.array(path))
print(f"PyTorch  lr / {BATCH}: largest gap between the paths {np.abs(paths[0] - paths[1]).max():.0e}")
print("notes    lr / batch_size gives the same trajectory")

# %%
plt.plot(*mean[:, :2].T, label="mean, lr 0.03", linewidth=4, alpha=0.4)
plt.plot(*total[:, :2].T, label="sum, lr 0.003")
plt.xlabel("first weight")
plt.ylabel("second weight")
plt.legend()
plt.show()
