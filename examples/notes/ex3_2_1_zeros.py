# %% [markdown]
"""
# 3.2.1 Starting from zeros

Chinese edition 3.2, exercise 1; English edition 3.4. Linear regression learns from zeros as from anything. In a
perceptron zeros never move with ReLUs; equal constants do, but all hidden units stay one and the same.
"""

# %%
import jax
import jax.numpy as jnp
import numpy as np
import torch

from d2l_jax import data

X, y = data.synthetic_regression([2, -3.4], 4.2, num_train=500).train


# %% JAX
def linear(params, X):
    return X @ params["w"] + params["b"]


def perceptron(params, X):
    return jnp.tanh(X @ params["W"]) @ params["v"] + params["b"]


def train(net, params):
    @jax.jit
    def run(params):
        slope = jax.grad(lambda params: ((net(params, X) - y) ** 2).mean())
        step = lambda _, p: jax.tree.map(lambda p, g: p - 0.1 * g, p, slope(p))  # noqa: E731
        return jax.lax.fori_loop(0, 200, step, params)

    return run(params)


line = train(linear, {"w": jnp.zeros((2, 1)), "b": jnp.zeros(1)})
print(f"JAX      linear, from zeros: w {np.round(line['w'].ravel(), 3)}, b {line['b'][0]:.3f}")
for value in (0.0, 0.1):
    start = {"W": jnp.full((2, 4), value), "v": jnp.full((4, 1), value), "b": jnp.zeros(1)}
    W = train(perceptron, start)["W"]
    moved = bool((start["W"] != W).any())
    print(f"JAX      hidden units from {value}: moved {moved}, all equal {bool((W[:, :1] == W).all())}")
random = 0.1 * jax.random.normal(jax.random.key(0), (2, 4))
W = train(perceptron, {"W": random, "v": jnp.full((4, 1), 0.1), "b": jnp.zeros(1)})["W"]
print("JAX      hidden units from random numbers: all equal", bool((W[:, :1] == W).all()))

# %% PyTorch
net = torch.nn.Sequential(torch.nn.Linear(2, 4, bias=False), torch.nn.Tanh(), torch.nn.Linear(4, 1))
for value in (0.0, 0.1):
    for p in net.parameters():
        torch.nn.init.constant_(p, value)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(net(torch.from_numpy(X)), torch.from_numpy(y)).backward()
        optimizer.step()
    W = net[0].weight
    print(f"PyTorch  hidden units from {value}: moved {bool((value != W).any())}, all equal {bool((W[:1] == W).all())}")
print("notes    works for linear regression; keeps hidden units identical in an MLP")
