# %% [markdown]
"""
# 3.2.3 Temperature from a spectral energy density

Chinese edition 3.2, exercise 3; English edition 3.4. Planck's law u = 8 pi h nu^3 / c^3 / (exp(h nu / k T) - 1) is
solved for T, and found by gradient descent too. In SI units u is near 1e-17, so descent works on logarithms.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

H = 6.62607015e-34
K = 1.380649e-23
C = 299792458.0
NU = np.linspace(1e14, 1e15, 10)
SUN = 5772.0


def density(nu, T):
    return 8 * np.pi * H * nu**3 / C**3 / np.expm1(H * nu / (K * T))


u = density(NU, SUN)

# %% JAX
inverse = H * NU / (K * np.log1p(8 * np.pi * H * NU**3 / (C**3 * u)))
print(f"JAX      inverted at 10 frequencies: T from {inverse.min():.6f} to {inverse.max():.6f}")

ratio = jnp.asarray(H * NU / K, jnp.float32)  # h nu / k, in kelvin
target = jnp.asarray(np.log(u) - np.log(8 * np.pi * H * NU**3 / C**3), jnp.float32)


@jax.jit
def descend(log_T):
    def loss_of(log_T):
        return ((-jnp.log(jnp.expm1(ratio / jnp.exp(log_T))) - target) ** 2).mean()

    return jax.lax.fori_loop(0, 300, lambda _, t: t - 0.01 * jax.grad(loss_of)(t), log_T)


T = jnp.exp(descend(jnp.log(jnp.float32(3000.0))))
print(f"JAX      by gradient descent from 3000 K: {T:.1f} K")

# %% PyTorch
log_T = torch.tensor(np.log(3000.0), requires_grad=True)  # float64
hot = torch.tensor(H * NU / K)
goal = torch.tensor(np.log(u) - np.log(8 * np.pi * H * NU**3 / C**3))
optimizer = torch.optim.SGD([log_T], lr=0.01)
for _ in range(300):
    optimizer.zero_grad()
    ((-torch.log(torch.expm1(hot / log_T.exp())) - goal) ** 2).mean().backward()
    optimizer.step()
print(f"PyTorch  by gradient descent from 3000 K: {log_T.exp().item():.1f} K")
print("notes    round trip of the inverse; descent finds it too (here 5772 K)")

# %%
for T in (3000, 4500, SUN):
    plt.plot(nu := np.linspace(1e13, 1.5e15, 200), density(nu, T), label=f"{T:.0f} K")
plt.xlabel("frequency, Hz")
plt.ylabel("energy density, J s / m^3")
plt.legend()
plt.show()
