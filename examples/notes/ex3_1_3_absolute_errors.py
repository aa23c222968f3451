# %% [markdown]
"""
# 3.1.3 Noise with density exp(-|e|) / 2

Chinese and English edition 3.1, exercise 3. The negative log-likelihood is n log 2 + the sum of |y - X w - b|: there
is no closed form, and near the optimum the slope stays as long as far away, so steps of one length hop around it.
"""

# %%
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

random = np.random.default_rng(0)
X = random.normal(size=(200, 2)).astype(np.float32)
y = (X @ [2, -3.4] + 4.2 + random.laplace(size=200)).astype(np.float32)
STEPS = 400


# %% JAX
def errors(params):
    return y - X @ params["w"] - params["b"]


def likelihood(params):
    return len(y) * math.log(2) + jnp.abs(errors(params)).sum()


def mean_absolute(params):
    return jnp.abs(errors(params)).mean()


def smooth(params):
    e = jnp.abs(errors(params))
    return jnp.where(e < 1, e**2 / 2, e - 0.5).mean()


def train(loss, rate):
    @jax.jit
    def run(params):
        def step(params, t):
            params = jax.tree.map(lambda p, g: p - rate(t) * g, params, jax.grad(loss)(params))
            return params, mean_absolute(params)

        return jax.lax.scan(step, params, jnp.arange(STEPS))

    return run({"w": jnp.zeros(2), "b": jnp.zeros(())})


ways = {
    "constant rate": (mean_absolute, lambda t: 0.5),
    "decaying rate": (mean_absolute, lambda t: 0.5 / jnp.sqrt(1 + t)),
    "smooth loss": (smooth, lambda t: 0.5),
}
curves = {}
for name, way in ways.items():
    params, curves[name] = train(*way)
    swing = np.ptp(curves[name][-50:])
    print(f"JAX      {name}: mean |e| {curves[name][-1]:.4f}, swing of the last 50 steps {swing:.1e}")
density = -jnp.log(jnp.exp(-jnp.abs(errors(params))) / 2).sum()
print(f"JAX      -log likelihood {density:.2f} = n log 2 + sum |e| {likelihood(params):.2f}")

# %% PyTorch
inputs = torch.from_numpy(X)
labels = torch.from_numpy(y)
w = torch.zeros(2, requires_grad=True)
b = torch.zeros((), requires_grad=True)
optimizer = torch.optim.SGD([w, b], lr=0.5)
curve = []
for _ in range(STEPS):
    optimizer.zero_grad()
    torch.nn.functional.l1_loss(inputs @ w + b, labels).backward()
    optimizer.step()
    curve.append((labels - inputs @ w - b).abs().mean().item())
print(f"PyTorch  constant rate: mean |e| {curve[-1]:.4f}, swing of the last 50 steps {np.ptp(curve[-50:]):.1e}")
print("notes    oscillates near the optimum; a decaying rate or a smooth loss settles")

# %%
best = min(float(curve.min()) for curve in curves.values())
for name, curve in curves.items():
    plt.plot(curve - best + 1e-7, label=name)
plt.yscale("log")
plt.xlabel("step")
plt.ylabel("mean |e| above the best")
plt.legend()
plt.show()
