# %% [markdown]
"""
# 3.2.4 Second derivatives, and differences in their place

Chinese edition 3.2, exercise 4; English edition 3.4. A central difference errs by h^2 from its formula and by
eps / h^2 from rounding: in float32 the best step still loses half the digits. Automatic derivatives lose none.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

X = 1.3
steps = 10.0 ** -np.arange(0, 7)


def difference(f, x, h):
    return (f(x + h) - 2 * f(x) + f(x - h)) / (h * h)


# %% JAX
gaps = {}
for dtype in ("float32", "float64"):
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray(X, dtype)
        exact = -np.sin(X)
        gaps[dtype] = [abs(float(difference(jnp.sin, x, jnp.asarray(h, dtype))) - exact) for h in steps]
        automatic = abs(float(jax.grad(jax.grad(jnp.sin))(x)) - exact)
    best = min(gaps[dtype])
    at = steps[gaps[dtype].index(best)]
    print(f"JAX      {dtype}: best difference errs by {best:.0e} at h {at:.0e}, grad by {automatic:.0e}")

# %% PyTorch
for dtype in (torch.float32, torch.float64):
    t = torch.tensor(X, dtype=dtype, requires_grad=True)
    (first,) = torch.autograd.grad(torch.sin(t), t, create_graph=True)
    (second,) = torch.autograd.grad(first, t)
    print(f"PyTorch  {str(dtype)[6:]}: autograd errs by {abs(second.item() + np.sin(X)):.0e}")
print("notes    see A13")

# %%
for dtype, gap in gaps.items():
    plt.loglog(steps, gap, "o-", label=dtype)
plt.xlabel("h")
plt.ylabel("error of the central difference")
plt.legend()
plt.show()
