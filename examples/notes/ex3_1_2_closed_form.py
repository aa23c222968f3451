# %% [markdown]
"""
# 3.1.2 Least squares in closed form

Chinese and English edition 3.1, exercise 2. Where the gradient X^T (X w - y) is 0, w = (X^T X)^-1 X^T y. With two
equal columns X^T X has no inverse; a ridge, or the pseudo-inverse, gives the shortest solution.
"""

# %%
import jax
import jax.numpy as jnp
import numpy as np
import torch

from d2l_jax import data

X, y = data.synthetic_regression([2, -3.4], 0.0, num_train=500).train


# %% JAX
def closed_form(X, y):
    return jnp.linalg.solve(X.T @ X, X.T @ y)


@jax.jit
def descend(w):
    slope = jax.grad(lambda w: ((X @ w - y) ** 2).mean())
    return jax.lax.fori_loop(0, 300, lambda _, w: w - 0.1 * slope(w), w)


exact = closed_form(X, y)
gap = jnp.abs(exact - descend(jnp.zeros((2, 1)))).max()
print(f"JAX      w {np.round(exact.ravel(), 4)}, gap to gradient descent {gap:.0e}")

twice = jnp.concatenate([X, X[:, :1]], 1)  # the first column once more
gram = twice.T @ twice
print("JAX      rank of X^T X", jnp.linalg.matrix_rank(gram), "of 3; condition", f"{jnp.linalg.cond(gram):.0e}")
print("plain solution", closed_form(twice, y).ravel())
ridge = jnp.linalg.solve(gram + 1e-2 * jnp.eye(3), twice.T @ y).ravel()
pseudo = (jnp.linalg.pinv(twice) @ y).ravel()
print(f"JAX      ridge {np.round(ridge, 3)}, pseudo-inverse {np.round(pseudo, 3)}")

# %% PyTorch
inputs = torch.from_numpy(X)
labels = torch.from_numpy(y)
w = torch.linalg.solve(inputs.T @ inputs, inputs.T @ labels)
print(f"PyTorch  w {np.round(w.ravel().numpy(), 4)}")
pseudo = torch.linalg.pinv(torch.cat([inputs, inputs[:, :1]], 1)) @ labels
print(f"PyTorch  pseudo-inverse {np.round(pseudo.ravel().numpy(), 3)}")
print("notes    equals the solution of descent; fails where X^T X is singular")
