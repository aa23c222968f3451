# %% [markdown]
"""
# 3.2.5 Why the squared loss reshapes the labels

Chinese edition 3.2, exercise 5; English edition 3.4. Predictions (n, 1) minus labels (n,) are (n, n): every
prediction against every label. The loss is a number all the same, and pulls all predictions to the mean of y.
"""

# %%
import jax
import jax.numpy as jnp
import numpy as np
import torch

from d2l_jax import data, losses

X, y = data.synthetic_regression([2, -3.4], 4.2, num_train=100).train
flat = y.ravel()


# %% JAX
def wrong(y_hat, y):
    return ((y_hat - y) ** 2).mean()


print("JAX      shape of the difference", (X[:, :1] - flat).shape, "in place of", (X[:, :1] - y).shape)
for name, loss, labels in (("right", losses.mse, jnp.asarray(y)), ("wrong", wrong, flat)):
    slope = jax.jit(jax.grad(lambda w: loss(X @ w[:2, None] + w[2], labels)))  # noqa: B023
    w = jnp.zeros(3)
    for _ in range(200):
        w = w - 0.1 * slope(w)
    print(f"JAX      {name} labels: w, b {np.round(w, 3)}")
print(f"the mean of y is {y.mean():.3f}")
try:
    losses.mse(jnp.asarray(X[:, :1]), jnp.asarray(flat))
except (TypeError, ValueError) as error:
    print(f"JAX      d2l_jax.losses refuses labels {flat.shape} beside predictions {y.shape}:", type(error).__name__)

# %% PyTorch
difference = torch.from_numpy(X[:, :1]) - torch.from_numpy(flat)
print("PyTorch  shape of the difference", tuple(difference.shape))
print("notes    (n, 1) minus (n,) broadcasts to (n, n)")
