# %% [markdown]
"""
# 3.6.1 Overflow of a plain softmax

Chinese edition 3.6, exercise 1; English edition 4.4. exp(50) is a large number in float32, exp(100) is infinite, and
infinity over infinity is no number. Less the largest score, all exponents are at most 0.
"""

# %%
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

from d2l_jax.models.softmax import softmax  # exp(x) / sum, as section 3.6 writes it

small = jnp.array([[50.0, 49.0, 0.0]])
large = jnp.array([[100.0, 99.0, 0.0]])


# %% JAX
def shifted(X):
    return softmax(X - X.max(1, keepdims=True))


print(f"JAX      exp(50) = {jnp.exp(50.0):.3e}, exp(100) = {jnp.exp(100.0)}, largest float32 {jnp.finfo('f').max:.1e}")
print("JAX      plain softmax of 50, 49, 0:", softmax(small)[0])
print("JAX      plain softmax of 100, 99, 0:", softmax(large)[0])
print("JAX      shifted softmax of 100, 99, 0:", shifted(large)[0])

# %% PyTorch
t = torch.tensor(np.array(large))
print("PyTorch  plain softmax of 100, 99, 0:", (t.exp() / t.exp().sum(1, keepdim=True)).numpy()[0])
print("PyTorch  torch.softmax of 100, 99, 0:", torch.softmax(t, 1).numpy()[0])
print("notes    exp(50) is finite in float32, exp(100) is not")

# %%
scores = jnp.linspace(80, 100, 200)
pairs = jnp.stack([scores, scores - 1], 1)
plt.plot(scores, softmax(pairs)[:, 0], label="plain", linewidth=3)
plt.plot(scores, shifted(pairs)[:, 0], ":", label="shifted")
plt.xlabel("larger score; the other is 1 less")
plt.ylabel("its probability")
plt.legend()
plt.show()
