# %% [markdown]
"""
# 3.7.1 Hyper-parameters, many at once

Chinese edition 3.7, exercise 1; English edition 4.5. A14 has thirteen settings one after the other. Here `vmap` trains
a model for each of eight rates together, on the same batches, and the test accuracy of all is drawn.
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
RATES = np.array([0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0], np.float32)

images = data.load(kind="image")
print(f"data     {images.name}: {images.source}")
(X, y), (X_test, y_test) = ((x.reshape(len(x), -1).astype(np.float32) / 255, y) for x, y in (images.train, images.test))
order = [data.batch_order(len(X), 256, seed=0, epoch=epoch).full for epoch in range(EPOCHS)]


# %% JAX
def descend(params, lr, X, y, batches):
    def loss_of(params, X, y):
        scores = X @ params["W"] + params["b"]
        return -jnp.take_along_axis(jax.nn.log_softmax(scores), y[:, None], 1).mean()

    def step(params, rows):
        grads = jax.grad(loss_of)(params, X[rows], y[rows])
        return jax.tree.map(lambda p, g: p - lr * g, params, grads), None

    return jax.lax.scan(step, params, batches)[0]


def accuracy(params):
    return ((X_test @ params["W"] + params["b"]).argmax(1) == y_test).mean()


train_all = jax.jit(jax.vmap(descend, (0, 0, None, None, None)))
params = {"W": jnp.zeros((len(RATES), X.shape[1], 10)), "b": jnp.zeros((len(RATES), 10))}
on_device = jnp.asarray(X), jnp.asarray(y)
curves = []
for batches in order:
    params = train_all(params, RATES, *on_device, batches)
    curves.append(jax.vmap(accuracy)(params))
final = np.asarray(curves[-1])
print("JAX      test accuracy:", ", ".join(f"lr {lr:g} {a:.3f}" for lr, a in zip(RATES, final, strict=True)))

# %% PyTorch
best = float(RATES[final.argmax()])
W = torch.zeros(X.shape[1], 10, requires_grad=True)
b = torch.zeros(10, requires_grad=True)
optimizer = torch.optim.SGD([W, b], lr=best)
inputs = torch.from_numpy(X)
labels = torch.from_numpy(y).long()
for rows in np.concatenate(order):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(inputs[rows] @ W + b, labels[rows]).backward()
    optimizer.step()
right = ((torch.from_numpy(X_test) @ W + b).argmax(1).numpy() == y_test).mean()
print(f"PyTorch  test accuracy: lr {best:g} {right:.3f}")
print("notes    see A14")

# %%
for lr, curve in zip(RATES, np.transpose(curves), strict=True):
    plt.plot(range(1, EPOCHS + 1), curve, label=f"lr {lr:g}")
plt.xlabel("epoch")
plt.ylabel("test accuracy")
plt.legend()
plt.show()
