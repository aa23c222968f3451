# %% [markdown]
"""
# 3.3.2 Which losses and initialisers there are

Chinese edition 3.3, exercise 2; English edition 3.5. For each of PyTorch's 21 losses the value of `d2l_jax.losses` on
the same numbers; for each of its 15 initialisers the mean and spread of a drawn matrix. A11 trains with Huber's.
"""

# %%
import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn import functional as F

from d2l_jax import init, losses

random = np.random.default_rng(0)
a, b, c = random.normal(size=(3, 6, 5)).astype(np.float32)
p, q = (np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (a, b))
labels = random.integers(0, 5, 6)
signs = np.sign(b)
some = (b > 0).astype(np.float32)
listed = np.array([[3, 0, -1, 1, 4], [1, -1, 0, 2, 3], [4, 2, 1, -1, 0]] * 2)  # classes, then -1
times = np.log(np.stack([p, q, p, q], 0))  # 4 steps, 6 sequences, 5 symbols
LOSSES = {
    "l1_loss": (a, b),
    "mse_loss": (a, b),
    "cross_entropy": (a, labels),
    "ctc_loss": (times, np.array([[1, 2], [3, 4], [1, 1], [2, 4], [4, 3], [1, 3]]), np.full(6, 4), np.full(6, 2)),
    "nll_loss": (np.log(p), labels),
    "poisson_nll_loss": (a, np.abs(np.round(b))),
    "gaussian_nll_loss": (a, b, p),
    "kl_div": (np.log(p), q),
    "binary_cross_entropy": (p, some),
    "binary_cross_entropy_with_logits": (a, some),
    "margin_ranking_loss": (a, c, signs),
    "hinge_embedding_loss": (a, signs),
    "multilabel_margin_loss": (a, listed),
    "huber_loss": (a, b),
    "smooth_l1_loss": (a, b),
    "soft_margin_loss": (a, signs),
    "multilabel_soft_margin_loss": (a, some),
    "cosine_embedding_loss": (a, b, signs[:, 0]),
    "multi_margin_loss": (a, labels),
    "triplet_margin_loss": (a, b, c),
    "triplet_margin_with_distance_loss": (a, b, c),
}

# %% JAX
ours = {}
for name, numbers in LOSSES.items():
    loss = getattr(losses, "cross_entropy_loss" if name == "cross_entropy" else name)
    ours[name] = float(loss(*map(jnp.asarray, numbers)))

# %% PyTorch
gaps = {}
for name, numbers in LOSSES.items():
    more = {"reduction": "sum"} if name == "kl_div" else {}  # its mean is no divergence, and PyTorch warns
    theirs = float(getattr(F, name)(*map(torch.from_numpy, numbers), **more)) / (a.size if more else 1)
    gaps[name] = abs(ours[name] - theirs)
    print(f"{name:<34} {ours[name]:9.5f}   PyTorch {theirs:9.5f}")

# %% [markdown]
"""
A kernel of Flax is (in, out), PyTorch's weight is (out, in).
"""

# %%
INITIALISERS = {
    "uniform": {"a": -1.0, "b": 2.0}, "normal": {"mean": 1.0, "std": 2.0}, "constant": {"val": 0.3}, "ones": None,
    "zeros": None, "eye": None, "dirac": {}, "xavier_uniform": {}, "xavier_normal": {"gain": 2.0},
    "kaiming_uniform": {"a": 0.2}, "kaiming_normal": {"mode": "fan_out"}, "trunc_normal": {"a": -1.0, "b": 1.5},
    "orthogonal": {}, "sparse": {"sparsity": 0.3},
}  # fmt: skip
same = 0
for name, options in INITIALISERS.items():
    shape = (3, 3, 64, 48) if name == "dirac" else (400, 300)
    initialiser = getattr(init, name)
    if options is not None:
        initialiser = initialiser(*options.values()) if name == "constant" else initialiser(**options)
    drawn = initialiser(jax.random.key(0), shape, jnp.float32)
    weight = torch.empty(48, 64, 3, 3) if name == "dirac" else torch.empty(300, 400)
    getattr(torch.nn.init, name + "_")(weight, **(options or {}))
    near = np.allclose([drawn.mean(), drawn.std()], [weight.mean(), weight.std()], atol=0.01)
    same += near
    theirs = f"{weight.mean():8.4f} {weight.std():7.4f}"
    print(f"{name:<16} mean and spread {drawn.mean():8.4f} {drawn.std():7.4f}   PyTorch {theirs}")
same += init.calculate_gain("leaky_relu", 0.2) == torch.nn.init.calculate_gain("leaky_relu", 0.2)
print(f"JAX      {len(ours)} losses, largest gap {max(gaps.values()):.0e}; {same} of 15 initialisers alike")
print(f"PyTorch  {len(gaps)} losses of torch.nn.functional, {len(INITIALISERS) + 1} functions of torch.nn.init")
print("notes    21 losses and 15 initialisers of PyTorch")
