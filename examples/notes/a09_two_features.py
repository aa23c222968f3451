# %% [markdown]
"""
# A9. Linear regression with two features: from scratch, and with layers

Chinese edition 3.2 and 3.3, English edition 3.4 and 3.5. From scratch the squared error is halved, with layers it is
not, so the latter takes steps twice as large and ends nearer to the truth.
"""

# %%
import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import parity
from d2l_jax import TrainState, data, losses, make_epoch, make_train_step, optim, supervised
from d2l_jax.models import LinearRegression
from parity import reference

TRUE_W = np.array([2, -3.4], np.float32)
TRUE_B = 4.2
LR = 0.03

X, y = data.synthetic_regression(TRUE_W, TRUE_B, num_train=1000).train
start = 0.01 * np.random.default_rng(0).standard_normal((2, 1), np.float32)
order = [data.batch_order(len(X), 10, seed=0, epoch=epoch).full for epoch in range(3)]  # 100 batches


def report(who, w, b):
    print(f"{who} errors of w {np.round(TRUE_W - np.ravel(w), 4)}, of b {TRUE_B - float(np.squeeze(b)):.4f}")


# %% JAX
@jax.jit
def descend(params, batches):
    def loss_of(params, X, y):
        return ((X @ params["w"] + params["b"] - y) ** 2 / 2).mean()

    def step(params, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, *batch)
        return jax.tree.map(lambda p, g: p - LR * g, params, grads), loss

    return jax.lax.scan(step, params, batches)


params = {"w": jnp.asarray(start), "b": jnp.zeros(1)}
for rows in order:
    params, _ = descend(params, (X[rows], y[rows]))
report("JAX      from scratch:", params["w"], params["b"])

model = LinearRegression(2, rngs=nnx.Rngs(0))
turns = supervised(losses.mse, optim.SGD(lr=LR))
epoch = make_epoch(make_train_step(model, turns))
state = TrainState.create(model, turns)
for rows in order:
    state, _ = epoch(state, {"input": jnp.asarray(X), "targets": jnp.asarray(y)}, rows)
report("JAX      with layers: ", state.params["net"]["kernel"], state.params["net"]["bias"])

# %% PyTorch
inputs = torch.from_numpy(X)
labels = torch.from_numpy(y)
w = torch.tensor(start, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
for rows in np.concatenate(order):
    ((inputs[rows] @ w + b - labels[rows]) ** 2 / 2).mean().backward()
    with torch.no_grad():
        for p in (w, b):
            p -= LR * p.grad
            p.grad = None
report("PyTorch  from scratch:", w.detach(), b.detach())

twin = reference.LinearRegression(2)
twin.load_state_dict({name: torch.tensor(value) for name, value in parity.state_dict(model).items()})
optimizer = torch.optim.SGD(twin.parameters(), lr=LR)
for rows in np.concatenate(order):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(twin(inputs[rows]), labels[rows]).backward()
    optimizer.step()
report("PyTorch  with layers: ", twin.net.weight.detach(), twin.net.bias.detach())
print("notes    errors of w and b near 0")
