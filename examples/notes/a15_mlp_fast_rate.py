# %% [markdown]
"""
# A15. A perceptron with every parameter from N(0, 0.01) and a rate of 0.5

Chinese edition 4.3, English edition 5.2. The model 784-256-10 of the book, its biases drawn like its weights.
"""

# %%
import os

import jax
import matplotlib.pyplot as plt
import numpy as np
import torch
from flax import nnx

import parity
from d2l_jax import Observed, TrainState, data, fit, init, losses, make_eval_step, make_train_step, optim, supervised
from d2l_jax.models import MLP
from d2l_jax.train import Loop
from parity import reference

EPOCHS = int(os.environ.get("NOTES_EPOCHS", 5))

images = data.load(kind="image")
print(f"data     {images.name}: {images.source}")
X, y = images.train
X_test, y_test = images.test


def order(epoch):
    return data.batch_order(len(X), 256, seed=0, epoch=epoch)


# %% JAX
model = MLP(in_features=X[0].size, rngs=nnx.Rngs(0))
draw = init.normal(0.0, 0.01)
keys = iter(jax.random.split(jax.random.key(0), 4))
nnx.update(model, jax.tree.map(lambda p: draw(next(keys), p.shape, p.dtype), nnx.state(model, nnx.Param)))
turns = supervised(losses.cross_entropy, optim.SGD(lr=0.5))
loop = Loop(make_train_step(model, turns), make_eval_step(model, Observed(losses.cross_entropy)))
train, test = ({"input": x, "targets": labels} for x, labels in (images.train, images.test))
_, records = fit(loop, TrainState.create(model, turns), train, test, order=order, epochs=range(1, EPOCHS + 1))
print(f"JAX      train loss {records[-1].train['loss']:.4f}, test accuracy {records[-1].test['accuracy']:.4f}")

# %% PyTorch
twin = reference.MLP(in_features=X[0].size)
twin.load_state_dict({name: torch.tensor(value) for name, value in parity.state_dict(model).items()})
optimizer = torch.optim.SGD(twin.parameters(), lr=0.5)
inputs = torch.from_numpy(X.astype(np.float32) / 255)
labels = torch.from_numpy(y).long()
for epoch in range(1, EPOCHS + 1):
    full, rest = order(epoch)
    total = 0.0
    for rows in (*full, rest):
        loss = torch.nn.functional.cross_entropy(twin(inputs[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
accuracy = (twin(torch.from_numpy(X_test.astype(np.float32) / 255)).argmax(1).numpy() == y_test).mean()
print(f"PyTorch  train loss {total / len(X):.4f}, test accuracy {accuracy:.4f}")
print("notes    no figure")

# %%
for split in ("train", "test"):
    plt.plot(range(1, EPOCHS + 1), [getattr(record, split)["accuracy"] for record in records], label=split)
plt.xlabel("epoch")
plt.ylabel("accuracy")
plt.legend()
plt.show()
