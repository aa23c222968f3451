# %% [markdown]
"""
# 3.4.1 The second derivative of softmax cross-entropy

Chinese edition 3.4, exercise 1; English edition 4.1. The gradient is p - y; its slope no longer depends on the label
and is the variance of the one-hot code under p: p (1 - p), and all of it diag(p) - p p^T.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

scores = np.array([1.0, -0.5, 2.0, 0.3], np.float32)
LABEL = 2


# %% JAX
def loss(scores):
    return jax.nn.logsumexp(scores) - scores[LABEL]


p = jax.nn.softmax(scores)
hessian = jax.hessian(loss)(scores)
drawn = jax.nn.one_hot(jax.random.categorical(jax.random.key(0), scores, shape=(200_000,)), 4)
print(f"JAX      gradient - (p - y): {jnp.abs(jax.grad(loss)(scores) - (p - jax.nn.one_hot(LABEL, 4))).max():.0e}")
print(f"JAX      Hessian - (diag(p) - p p^T): {jnp.abs(hessian - (jnp.diag(p) - jnp.outer(p, p))).max():.0e}")
print("its diagonal", np.round(jnp.diag(hessian), 4), "is p (1 - p)", np.round(p * (1 - p), 4))
print("JAX      variance of 200,000 drawn labels", np.round(drawn.var(0), 3))

# %% PyTorch
t = torch.tensor(scores)
theirs = torch.autograd.functional.hessian(
    lambda t: torch.nn.functional.cross_entropy(t[None], torch.tensor([LABEL])), t
)
q = torch.softmax(t, 0)
print(f"PyTorch  Hessian - (diag(p) - p p^T): {(theirs - (torch.diag(q) - torch.outer(q, q))).abs().max():.0e}")
print("notes    the variance of the softmax distribution")

# %%
plt.imshow(hessian, cmap="RdBu", vmin=-0.25, vmax=0.25)
plt.title("Hessian of the cross-entropy")
plt.colorbar()
plt.show()
