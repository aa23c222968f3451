# %% [markdown]
"""
# 3.6.4 Is the most probable label the best answer?

Chinese edition 3.6, exercise 4; English edition 4.4. Not where mistakes differ in price. Sending an ill patient home
costs 100 here, treating a healthy one 1: the answer of least expected cost is to treat from a probability of 1/101 on.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

COST = np.array([[0.0, 1.0], [100.0, 0.0]], np.float32)  # [truly healthy, truly ill] by [send home, treat]
random = np.random.default_rng(0)
ill = random.random(20_000) < 0.05
sign = (random.normal(size=20_000) + 2 * ill).astype(np.float32)  # a blood value, higher where ill
# Bayes: the logit of "ill" is log prior odds + 2 s - 2
scores = np.stack([np.zeros_like(sign), np.log(0.05 / 0.95) + 2 * sign - 2], 1).astype(np.float32)

# %% JAX
p = jax.nn.softmax(scores)
answers = {"most probable": p.argmax(1), "least expected cost": (p @ COST).argmin(1)}
for name, answer in answers.items():
    mean = COST[ill.astype(int), answer].mean()
    right = (np.asarray(answer) == ill).mean()
    print(
        f"JAX      {name}: accuracy {right:.3f}, mean cost {mean:.3f}, ill sent home {int((ill & (answer == 0)).sum())}"
    )
by_label, by_cost = answers.values()
least = float(p[by_cost == 1, 1].min())
print(f"the answers differ for {float((by_label != by_cost).mean()):.1%}; treated from p = {least:.4f} on")

# %% PyTorch
theirs = (torch.softmax(torch.from_numpy(scores), 1) @ torch.from_numpy(COST)).argmin(1).numpy()
print(f"PyTorch  least expected cost: mean cost {COST[ill.astype(int), theirs].mean():.3f}")
print("notes    a decision by expected cost differs from argmax")

# %%
grid = jnp.linspace(0, 0.05, 100)
plt.plot(grid, 100 * grid, label="send home")
plt.plot(grid, 1 - grid, label="treat")
plt.xlabel("probability of being ill")
plt.ylabel("expected cost")
plt.legend()
plt.show()
