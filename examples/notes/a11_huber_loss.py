# %% [markdown]
"""
# A11. The Huber loss

Chinese edition 3.3, exercise 2; English edition 3.5. Far from the truth its gradient has length 1 at most, so the
first epochs are slower than with the squared error; near the truth it is the halved squared error.
"""

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

from d2l_jax import data, losses

TRUE_W = np.array([2, -3.4], np.float32)
TRUE_B = 4.2
LR = 0.03

X, y = data.synthetic_regression(TRUE_W, TRUE_B, num_train=1000).train
start = 0.01 * np.random.default_rng(0).standard_normal((2, 1), np.float32)
order = [data.batch_order(len(X), 10, seed=0, epoch=epoch).full for epoch in range(3)]


# %% JAX
def loss_of(params, X, y):
    return losses.huber_loss(X @ params["w"] + params["b"], y)


@jax.jit
def descend(params, batches):
    def step(params, batch):
        return jax.tree.map(lambda p, g: p - LR * g, params, jax.grad(loss_of)(params, *batch)), None

    return jax.lax.scan(step, params, batches)[0]


params = {"w": jnp.asarray(start), "b": jnp.zeros(1)}
after = []
for rows in order:
    params = descend(params, (X[rows], y[rows]))
    after.append(f"{loss_of(params, jnp.asarray(X), jnp.asarray(y)):.4f}")
print("JAX      loss after each epoch", ", ".join(after))
print(f"JAX      errors of w {np.round(TRUE_W - params['w'].ravel(), 4)}, of b {TRUE_B - params['b'][0]:.4f}")

# %% PyTorch
inputs = torch.from_numpy(X)
labels = torch.from_numpy(y)
w = torch.tensor(start, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([w, b], lr=LR)
huber = torch.nn.HuberLoss()
after = []
for epoch in order:
    for rows in epoch:
        optimizer.zero_grad()
        huber(inputs[rows] @ w + b, labels[rows]).backward()
        optimizer.step()
    after.append(f"{huber(inputs @ w + b, labels).item():.4f}")
print("PyTorch  loss after each epoch", ", ".join(after))
print(f"PyTorch  errors of w {np.round(TRUE_W - w.detach().numpy().ravel(), 4)}, of b {TRUE_B - b.item():.4f}")
print("notes    loss after each epoch 2.48, 0.61, 0.0035")
print("notes    errors of w (0.0115, -0.0647), of b 0.052")

# %%
error = jnp.linspace(-4, 4, 161)
plt.plot(error, jax.vmap(losses.huber_loss)(error, jnp.zeros_like(error)), label="Huber")
plt.plot(error, error**2 / 2, label="halved square")
plt.xlabel("error")
plt.ylabel("loss")
plt.ylim(0, 6)
plt.legend()
plt.show()
