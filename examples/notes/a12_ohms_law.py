# %% [markdown]
"""
# A12. Ohm's law: the resistance from currents and voltages

Chinese edition 3.2, exercise 2; English edition 3.4. One linear unit, 500 steps of gradient descent on all hundred
points at once. With currents from N(0, 1) each step shrinks the error by about 2 percent: 0.98^500 * 30 is 0.0012.
"""

# %%
import jax
import jax.numpy as jnp
import numpy as np
import torch

from d2l_jax import data

LR = 0.01
STEPS = 500

X, y = data.ohms_law(num_train=100).train  # 30 ohm, no noise
start_w, start_b = np.random.default_rng(0).uniform(-1, 1, 2).astype(np.float32)


# %% JAX
@jax.jit
def train(params):
    def loss_of(params):
        w, b = params
        return ((w * X + b - y) ** 2).mean()

    def step(params, _):
        return jax.tree.map(lambda p, g: p - LR * g, params, jax.grad(loss_of)(params)), None

    return jax.lax.scan(step, params, length=STEPS)[0]


w, b = train((jnp.float32(start_w), jnp.float32(start_b)))
print(f"JAX      weight {w:.4f}, bias {b:.4f}")

# %% PyTorch
unit = torch.nn.Linear(1, 1)
with torch.no_grad():
    unit.weight.fill_(start_w)
    unit.bias.fill_(start_b)
optimizer = torch.optim.SGD(unit.parameters(), lr=LR)
for _ in range(STEPS):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(unit(torch.from_numpy(X)), torch.from_numpy(y)).backward()
    optimizer.step()
print(f"PyTorch  weight {unit.weight.item():.4f}, bias {unit.bias.item():.4f}")
print("notes    weight 29.9993, bias 0.0008")
