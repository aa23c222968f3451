# %% [markdown]
"""
# 3.2.6 How far the learning rate may go

Chinese edition 3.2, exercise 6; English edition 3.4. A10 shows four rates. Here is the limit: on a squared error whose
Hessian has the largest eigenvalue L, full descent settles below a rate of 2 / L, and diverges above it.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

from d2l_jax import data

X, y = data.synthetic_regression([2, -3.4], 4.2, num_train=1000).train


# %% JAX
def loss_of(w):
    return ((X @ w[:2, None] + w[2] - y) ** 2).mean() / 2


@jax.jit
def losses_of(lr):
    def step(w, _):
        w = w - lr * jax.grad(loss_of)(w)
        return w, loss_of(w)

    return jax.lax.scan(step, jnp.zeros(3), length=200)[1]


limit = 2 / float(jnp.linalg.eigvalsh(jax.hessian(loss_of)(jnp.zeros(3))).max())
shares = np.array([0.05, 0.5, 0.95, 1.05], np.float32)
curves = jax.vmap(losses_of)(shares * limit)
print(f"JAX      2 / L = {limit:.3f}")
for share, curve in zip(shares, curves, strict=True):
    print(f"JAX      {share:.2f} of it: loss {curve[-1]:.1e} after 200 steps")

# %% PyTorch
for share in shares.tolist():
    w = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=share * limit)
    for _ in range(200):
        optimizer.zero_grad()
        loss = ((torch.from_numpy(X) @ w[:2, None] + w[2] - torch.from_numpy(y)) ** 2).mean() / 2
        loss.backward()
        optimizer.step()
    print(f"PyTorch  {share:.2f} of it: loss {loss.item():.1e} after 200 steps")
print("notes    see A10")

# %%
for share, curve in zip(shares, curves, strict=True):
    plt.semilogy(curve, label=f"{share:.2f} of 2 / L")
plt.xlabel("step")
plt.ylabel("loss")
plt.legend()
plt.show()
