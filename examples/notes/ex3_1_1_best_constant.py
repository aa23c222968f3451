# %% [markdown]
"""
# 3.1.1 The constant that is nearest to all numbers

Chinese and English edition 3.1, exercise 1. The sum of (x - b)^2 is least at the mean, where its slope
2 (n b - sum x) is 0; b is also the most likely mean of a normal sample.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

x = np.random.default_rng(0).normal(3.0, 2.0, 50).astype(np.float32)


# %% JAX
def squares(b):
    return jnp.sum((x - b) ** 2)


def minus_log_likelihood(mean):
    return -jax.scipy.stats.norm.logpdf(x, mean, 2.0).sum()


b = jnp.float32(0.0)
for _ in range(2):  # a parabola: Newton's first step lands, the second stays
    b = b - jax.grad(squares)(b) / jax.grad(jax.grad(squares))(b)
m = -jax.grad(minus_log_likelihood)(jnp.float32(0.0)) / jax.grad(jax.grad(minus_log_likelihood))(jnp.float32(0.0))
print(f"JAX      least squares at {b:.4f}, most likely mean {m:.4f}")
print(f"the mean is {x.mean():.4f}; the slope there {jax.grad(squares)(jnp.float32(x.mean())):.1e}")

# %% PyTorch
c = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([c], lr=1 / (2 * len(x)))
((torch.from_numpy(x) - c) ** 2).sum().backward()
optimizer.step()
print(f"PyTorch  least squares at {c.item():.4f}")
print("notes    b is the mean")

# %%
grid = jnp.linspace(0, 6, 121)
plt.plot(grid, jax.vmap(squares)(grid))
plt.axvline(x.mean(), color="gray", linestyle=":", label="mean")
plt.xlabel("b")
plt.ylabel("sum of squares")
plt.legend()
plt.show()
