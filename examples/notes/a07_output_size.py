# %% [markdown]
"""
# A7. The size behind a convolution or a pool

Chinese edition 6.3, English edition 7.3. Along each axis it is floor((n - k + 2p + s) / s), and both frameworks
agree with the formula. A padding of (k - 1) / 2 keeps the size; a stride that divides it, then, divides it.
"""

# %%
import itertools

import jax
import matplotlib.pyplot as plt
import torch
from flax import nnx

from d2l_jax import nn

shapes = [
    (n, k, s, p) for n, k, s, p in itertools.product((8, 28), (1, 2, 3, 5, 11), (1, 2, 3), (0, 2)) if k <= n + 2 * p
]

# %% JAX
right = 0
for n, k, s, p in shapes:
    conv = nnx.Conv(1, 1, (k, k), s, padding=p, rngs=nnx.Rngs(0))
    out = jax.eval_shape(conv, jax.ShapeDtypeStruct((1, n, n, 1), "float32"))
    right += out.shape[1] == out.shape[2] == nn.output_size(n, k, s, p)
print(f"JAX      {right} of {len(shapes)} convolutions as the formula says")

# %% PyTorch
right = 0
for n, k, s, p in shapes:
    conv = torch.nn.Conv2d(1, 1, k, s, p, device="meta")
    out = conv(torch.empty(1, 1, n, n, device="meta"))
    right += out.shape[2] == out.shape[3] == nn.output_size(n, k, s, p)
print(f"PyTorch  {right} of {len(shapes)} convolutions as the formula says")

# %% [markdown]
"""
The special cases: an odd kernel with p = (k - 1) / 2 and stride 1; then with a stride that divides the size.
"""

# %%
for k in (1, 3, 5, 7):
    p = (k - 1) // 2
    print(f"k {k}, p {p}: 28 ->", ", ".join(f"{nn.output_size(28, k, s, p)} with s {s}" for s in (1, 2, 4)))
print("height and width apart: (28, 30) ->", nn.output_size((28, 30), (3, 5), (1, 2), (1, 2)))
print("notes    floor((n - k + 2p + s) / s)")

# %%
sizes = range(5, 33)
for s in (1, 2, 3):
    plt.step(sizes, [nn.output_size(n, 3, s, 1) for n in sizes], where="mid", label=f"stride {s}")
plt.xlabel("size before, kernel 3, padding 1")
plt.ylabel("size behind")
plt.legend()
plt.show()
