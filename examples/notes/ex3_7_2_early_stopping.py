# %% [markdown]
"""
# 3.7.2 When the test accuracy falls with more epochs

Chinese edition 3.7, exercise 2; English edition 4.5. 300 images are soon learned by heart: the test loss turns
while the training loss falls on. Two ways out: stop where a validation set is best, or let the weights decay.
"""

# %%
import os

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch
from flax import nnx

import parity
from d2l_jax import Observed, TrainState, data, fit, losses, make_eval_step, make_train_step, optim, supervised
from d2l_jax.models import MLP
from d2l_jax.train import Loop
from parity import reference

EPOCHS = int(os.environ.get("NOTES_EPOCHS", 150))

images = data.load(kind="image")
print(f"data     {images.name}: {images.source}")
X, y = images.train
train, validation = ({"input": X[rows], "targets": y[rows]} for rows in (slice(300), slice(300, 600)))


def order(epoch):
    return data.batch_order(300, 50, seed=0, epoch=epoch)


# %% JAX
def curves(decay):
    model = MLP(in_features=X[0].size, rngs=nnx.Rngs(0))
    turns = supervised(losses.cross_entropy, optim.SGD(lr=0.1, weight_decay=decay))
    loop = Loop(make_train_step(model, turns), make_eval_step(model, Observed(losses.cross_entropy)))
    state = TrainState.create(model, turns)
    _, records = fit(loop, state, train, validation, order=order, epochs=range(1, EPOCHS + 1))
    return model, np.array([[record.train["loss"], record.test["loss"]] for record in records])


model, plain = curves(0.0)
stop = int(plain[:, 1].argmin())
print(f"JAX      no decay: train {plain[-1, 0]:.3f}, held out {plain[-1, 1]:.3f} after epoch {EPOCHS}")
print(f"JAX      stopped after epoch {stop + 1}: held out {plain[stop, 1]:.3f}")
_, decayed = curves(0.01)
print(f"JAX      decay 0.01: train {decayed[-1, 0]:.3f}, held out {decayed[-1, 1]:.3f} after epoch {EPOCHS}")

# %% PyTorch
twin = reference.MLP(in_features=X[0].size)
start = {name: torch.tensor(value) for name, value in parity.state_dict(model).items()}
inputs = torch.from_numpy(X[:600].astype(np.float32) / 255)
labels = torch.from_numpy(y[:600]).long()
for decay in (0.0, 0.01):
    twin.load_state_dict(start)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, weight_decay=decay)
    for epoch in range(1, EPOCHS + 1):
        for rows in order(epoch).full:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(twin(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    held_out = torch.nn.functional.cross_entropy(twin(inputs[300:]), labels[300:]).item()
    print(f"PyTorch  decay {decay:g}: held out {held_out:.3f} after epoch {EPOCHS}")
print("notes    early stopping and weight decay")

# %%
epochs = jnp.arange(1, EPOCHS + 1)
plt.plot(epochs, plain, label=["train", "held out"])
plt.plot(epochs, decayed[:, 1], label="held out, with decay")
plt.axvline(stop + 1, color="gray", linestyle=":", label="early stop")
plt.xlabel("epoch")
plt.ylabel("loss")
plt.legend()
plt.show()
