# %% [markdown]
"""
# 3.4.3 RealSoftMax(a, b) = log(exp a + exp b)

Chinese edition 3.4, exercise 3; English edition 4.1. It is larger than the maximum by at most log 2, and tends to it
as its arguments are scaled up; with the sign turned twice it is a soft minimum, and it takes any number of arguments.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

a, b = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)


# %% JAX
def soft_max(x, scale=1.0):
    return jax.nn.logsumexp(scale * x, axis=0) / scale


pairs = jnp.stack([a, b])
above = soft_max(pairs) - jnp.maximum(a, b)
print(f"JAX      above the maximum by {above.min():.4f} to {above.max():.4f}; log 2 = {np.log(2):.4f}")
for scale in (1, 10, 100):
    gap = (soft_max(pairs, scale) - jnp.maximum(a, b)).max()
    print(f"JAX      scale {scale}: largest gap {gap:.5f}, bound log 2 / scale {np.log(2) / scale:.5f}")
print("soft minimum below the minimum:", bool((-soft_max(-pairs) <= jnp.minimum(a, b)).all()))
many = jnp.arange(5.0)
slope = np.round(jax.grad(soft_max)(many), 3)
print(f"of five arguments, the largest {many.max():.0f}: {soft_max(many):.4f}; its gradient {slope}")

# %% PyTorch
theirs = torch.logsumexp(torch.from_numpy(np.stack([a, b])), 0)
print(f"PyTorch  gap to JAX {np.abs(theirs.numpy() - soft_max(pairs)).max():.0e}")
print("notes    exceeds the maximum; scaled by lambda tends to it")

# %%
x = jnp.linspace(-3, 3, 200)
for scale in (1, 3, 10):
    plt.plot(x, soft_max(jnp.stack([x, 0 * x]), scale), label=f"scale {scale}")
plt.plot(x, jnp.maximum(x, 0), "k:", label="max(x, 0)")
plt.legend()
plt.show()
