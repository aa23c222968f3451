# %% [markdown]
"""
# 3.4.2 A code for three equally likely classes

Chinese edition 3.4, exercise 2; English edition 4.1. One symbol needs 2 bits, though it tells log2 3 = 1.585. Coded
jointly, n symbols take ceil(n log2 3) bits: 5 symbols fit into 8 bits, since 3^5 = 243 < 256.
"""

# %%
import itertools

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

# %% JAX
p = jnp.full(3, 1 / 3)
entropy = float(-(p * jnp.log2(p)).sum())
n = np.arange(1, 42)
bits = np.ceil(n * np.log2(3)) / n
print(f"JAX      entropy {entropy:.3f} bits")
print(f"JAX      bits a symbol: 1 alone {bits[0]:.3f}, 5 together {bits[4]:.3f}, best up to 41 {bits.min():.4f}")

# %% PyTorch
theirs = torch.distributions.Categorical(torch.ones(3)).entropy() / np.log(2)
print(f"PyTorch  entropy {theirs:.3f} bits")

# %% [markdown]
"""
The code itself for five symbols: their number in base 3, written with 8 bits.
"""

# %%
codes = {word: f"{int(''.join(map(str, word)), 3):08b}" for word in itertools.product(range(3), repeat=5)}
word = (2, 0, 1, 1, 2)
print("code of", word, "is", codes[word], "- different codes:", len(set(codes.values())), "of", 3**5)
print("notes    log2 3 = 1.585 bits; ceil(n log2 3) / n falls to it")

# %%
plt.step(n, bits, where="mid")
plt.axhline(entropy, color="gray", linestyle=":", label="log2 3")
plt.xlabel("symbols coded together")
plt.ylabel("bits a symbol")
plt.legend()
plt.show()
