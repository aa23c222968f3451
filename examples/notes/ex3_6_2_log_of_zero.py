# %% [markdown]
"""
# 3.6.2 The logarithm of 0 in the cross-entropy

Chinese edition 3.6, exercise 2; English edition 4.4. A probability below 1e-45 is 0 in float32, and its logarithm is
minus infinity. `log_softmax` never forms the probability: the score less the logarithm of the sum.
"""

# %%
import jax
import jax.numpy as jnp
import numpy as np
import torch

from d2l_jax import losses

scores = jnp.array([[0.0, 120.0]])
label = jnp.array([0])

# %% JAX
p = jax.nn.softmax(scores)
print("JAX      p of the label:", p[0, 0])
print("JAX      -log p:", losses.cross_entropy_of_probabilities(p, label))
print("JAX      -log_softmax:", -jax.nn.log_softmax(scores)[0, 0])
print("JAX      losses.cross_entropy:", losses.cross_entropy(scores, label))

# %% PyTorch
t = torch.tensor(np.array(scores))
print("PyTorch  -log p:", -torch.log(torch.softmax(t, 1))[0, 0].item())
print("PyTorch  cross_entropy:", torch.nn.functional.cross_entropy(t, torch.tensor([0])).item())
print("notes    infinite; log_softmax is finite")
