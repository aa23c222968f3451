# %% [markdown]
"""
# 3.2.2 A model of voltage and current, with noise

Chinese edition 3.2, exercise 2; English edition 3.4. A12 again with what a laboratory adds: readings with noise, and
the question how sure the resistance is. The spread over many experiments is sigma / sqrt(sum I^2), as theory has it.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

OHM = 30.0
NOISE = 0.5  # volt
I = np.linspace(-2, 2, 100, dtype=np.float32)  # noqa: E741


# %% JAX
def fit(key):
    U = OHM * I + NOISE * jax.random.normal(key, I.shape)

    def step(params, _):
        def loss_of(params):
            r, offset = params
            return ((r * I + offset - U) ** 2).mean()

        return jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss_of)(params)), None

    return jax.lax.scan(step, (jnp.zeros(()), jnp.zeros(())), length=200)[0]


r, offset = jax.jit(jax.vmap(fit))(jax.random.split(jax.random.key(0), 1000))  # a thousand laboratories at once
theory = NOISE / np.sqrt((I**2).sum())
print(f"JAX      resistance {r.mean():.3f} ohm, spread {r.std():.4f}, in theory {theory:.4f}")
print(f"JAX      offset {offset.mean():.3f} volt")

# %% PyTorch
torch.manual_seed(0)
current = torch.from_numpy(I)
voltage = OHM * current + NOISE * torch.randn(100)
unit = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(unit.parameters(), lr=0.1)
for _ in range(200):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(unit(current[:, None])[:, 0], voltage).backward()
    optimizer.step()
print(f"PyTorch  resistance {unit.weight.item():.3f} ohm, offset {unit.bias.item():.3f} volt")
print("notes    see A12")

# %%
plt.hist(np.asarray(r), bins=30)
plt.axvline(OHM, color="black")
plt.xlabel("resistance of a thousand experiments, ohm")
plt.show()
