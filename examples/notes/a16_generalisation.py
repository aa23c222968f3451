# %% [markdown]
"""
# A16. Weight decay, polynomials, folds, dropout, Xavier, rates

Chinese edition 4.4 to 4.6, 4.8 and 4.10; English edition 3.6, 3.7, 5.4, 5.6 and 5.7. Seven short answers.
"""

# %%
import os
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import torch
from flax import nnx

import parity
from d2l_jax import (
    Observed,
    TrainState,
    data,
    fit,
    functional,
    init,
    losses,
    make_eval_step,
    make_train_step,
    models,
    optim,
    supervised,
)
from d2l_jax.train import Loop
from parity import reference

EPOCHS = int(os.environ.get("NOTES_EPOCHS", 10))
houses = data.load(kind="tabular")
print(f"data     {houses.name}: {houses.source}")


def batches(n, size, epoch):
    return data.batch_order(n, size, seed=0, epoch=epoch)


def train(model, turns, data_set, size, epochs):
    loop = Loop(make_train_step(model, turns, {}), make_eval_step(model, Observed(losses.mse), {}), {})
    split = [{"input": X, "targets": y} for X, y in (data_set.train, data_set.test)]
    order = partial(batches, data_set.examples, size)
    state = TrainState.create(model, turns)
    return fit(loop, state, *split, order=order, epochs=range(1, epochs + 1))


# %% JAX
for decay in (0.0, 3.0):
    model = models.WeightDecay(200, rngs=nnx.Rngs(0))
    turns = supervised(losses.mse, optim.SGD(lr=0.01, weight_decay=decay, groups={"bias": {"weight_decay": 0.0}}))
    state, records = train(model, turns, data.weight_decay_data(), 5, 100)
    norm = float(jnp.sum(state.params["net"]["kernel"] ** 2)) / 2
    error = records[-1].train["loss"], records[-1].test["loss"]
    print(f"JAX      decay {decay:g}: train {error[0]:.1e}, test {error[1]:.3f}, half squared norm {norm:.4f}")

# %% PyTorch
X, y = map(torch.from_numpy, data.weight_decay_data().train)
for decay in (0.0, 3.0):
    twin = reference.WeightDecay(200)
    start = parity.state_dict(models.WeightDecay(200, rngs=nnx.Rngs(0)))
    twin.load_state_dict({name: torch.tensor(value) for name, value in start.items()})
    weight, bias = twin.net.parameters()
    optimizer = torch.optim.SGD([{"params": [weight], "weight_decay": decay}, {"params": [bias]}], lr=0.01)
    for epoch in range(1, 101):
        for rows in batches(20, 5, epoch).full:
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(twin(X[rows]), y[rows]).backward()
            optimizer.step()
    print(f"PyTorch  decay {decay:g}: half squared norm {(weight**2).sum().item() / 2:.4f}")

# %% [markdown]
"""
A polynomial of degree 3 is seen through 100 noisy points. Degree 1 cannot hold it; degree 19 learns the noise.
"""

# %% JAX
random = np.random.default_rng(0)
x = random.normal(size=200)
powers = x[:, None] ** np.arange(20) / [float(np.prod(np.arange(1, k + 1))) for k in range(20)]
heights = powers[:, :4] @ [5, 1.2, -3.4, 5.6] + 0.1 * random.normal(size=200)
tests = {}
for degree in (1, 3, 19):
    fitted = np.linalg.lstsq(powers[:100, : degree + 1], heights[:100])[0]
    errors = (powers[:, : degree + 1] @ fitted - heights) ** 2
    tests[degree] = errors[100:].mean()
    print(f"JAX      degree {degree}: train {errors[:100].mean():.4f}, test {tests[degree]:.4f}")

# %% JAX
folds = []
for i in range(5):
    model = models.LinearRegression(houses.train[0].shape[1], rngs=nnx.Rngs(i))
    _, records = train(model, supervised(losses.mse, optim.SGD(lr=0.01)), data.fold(houses, 5, i), 64, EPOCHS)
    folds.append(records[-1].test["loss"])
print(f"JAX      {houses.name}: mean squared error of 5 folds {np.mean(folds):.3f} (the book: 0.173 on houses)")

# %% JAX
ones = jnp.ones((100, 100))
dropped = [models.dropout_layer(ones, p, jax.random.key(0)) for p in (0.0, 0.5, 1.0)]
print("JAX      dropout 0 keeps all:", bool((dropped[0] == 1).all()), "and 1 none:", bool((dropped[2] == 0).all()))
print(f"dropout 0.5: values {jnp.unique(dropped[1])}, mean {dropped[1].mean():.3f}")
net = models.DropoutMLP(dropout_1=0.2, dropout_2=0.5, in_features=784, rngs=nnx.Rngs(0))
apply, params, buffers = functional(net)
first, after = apply(params, buffers, jnp.ones((1, 784)))
print("two calls in training differ:", not np.array_equal(first, apply(params, after, jnp.ones((1, 784)))[0]))

W = init.xavier_uniform()(jax.random.key(0), (300, 500), jnp.float32)
print(f"JAX      Xavier: variance {W.var():.5f}, 2 / (fan in + fan out) = {2 / 800:.5f}")

# %% [markdown]
"""
One group of parameters with a rate of its own, the rest with the default; and a rate that changes during training.
"""

# %% JAX
params = {"0": {"kernel": jnp.ones(2)}, "2": {"kernel": jnp.ones(2)}}
ones = jax.tree.map(jnp.ones_like, params)
tx = optim.SGD(lr=0.1, groups={"2.weight": {"lr": 1.0}})
moved = optax.apply_updates(params, tx.update(ones, tx.init(params), params)[0])
print("JAX      two rates:", moved["0"]["kernel"], moved["2"]["kernel"])
rates = optim.MultiStepLR(0.1, milestones=[2, 4], gamma=0.1)(jnp.arange(6))

# %% PyTorch
slow = torch.ones(2, requires_grad=True)
fast = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([{"params": [slow]}, {"params": [fast], "lr": 1.0}], lr=0.1)
(slow.sum() + fast.sum()).backward()
optimizer.step()
print("PyTorch  two rates:", slow.detach().numpy(), fast.detach().numpy())
schedule = torch.optim.lr_scheduler.MultiStepLR(torch.optim.SGD([slow], lr=0.1), [2, 4])
theirs = []
for _ in range(6):
    theirs.append(schedule.get_last_lr()[0])
    schedule.optimizer.step()
    schedule.step()
print("PyTorch  the same changing rate:", np.allclose(theirs, rates))
print("notes    as in the book")

# %%
order = np.argsort(x)
plt.plot(x[100:], heights[100:], ".", color="gray")
for degree in (1, 3, 19):
    fitted = np.linalg.lstsq(powers[:100, : degree + 1], heights[:100])[0]
    plt.plot(x[order], (powers[:, : degree + 1] @ fitted)[order], label=f"degree {degree}, test {tests[degree]:.3g}")
plt.ylim(heights.min(), heights.max())
plt.legend()
plt.show()
