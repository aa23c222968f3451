# %% [markdown]
"""
# A4. The same perceptron with layers and AdamW

Chinese edition 4.3, English edition 5.2. `d2l_jax` has the model, the step and the loop over epochs; PyTorch's twin
starts from the same weights, which go over by name.
"""

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import torch
from flax import nnx

import parity
from d2l_jax import Observed, TrainState, data, fit, losses, make_eval_step, make_train_step, optim, supervised
from d2l_jax.models import TwoHiddenMLP
from d2l_jax.train import Loop
from parity import reference

EPOCHS = int(os.environ.get("NOTES_EPOCHS", 30))
BATCH = 256

images = data.load(kind="image")
print(f"data     {images.name}: {images.source}")
X, y = images.train
X_test, y_test = images.test


def order(epoch):
    return data.batch_order(len(X), BATCH, seed=0, epoch=epoch)


# %% JAX
model = TwoHiddenMLP(in_features=X[0].size, rngs=nnx.Rngs(0))
turns = supervised(losses.cross_entropy, optim.AdamW(lr=0.001))
loop = Loop(make_train_step(model, turns), make_eval_step(model, Observed(losses.cross_entropy)))
train, test = ({"input": x, "targets": labels} for x, labels in (images.train, images.test))
state, records = fit(loop, TrainState.create(model, turns), train, test, order=order, epochs=range(1, EPOCHS + 1))
for epoch in (1, EPOCHS):
    print(f"JAX      epoch {epoch}: " + ", ".join(f"{k} {v:.4f}" for k, v in records[epoch - 1].train.items()))
print(f"JAX      test accuracy {records[-1].test['accuracy']:.4f}")

# %% PyTorch
twin = reference.TwoHiddenMLP(in_features=X[0].size)
twin.load_state_dict({name: torch.tensor(value) for name, value in parity.state_dict(model).items()})
optimizer = torch.optim.AdamW(twin.parameters(), lr=0.001)
inputs = torch.from_numpy(X.astype(np.float32) / 255)
labels = torch.from_numpy(y).long()
for epoch in range(1, EPOCHS + 1):
    full, rest = order(epoch)
    for rows in (*full, rest):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(twin(inputs[rows]), labels[rows]).backward()
        optimizer.step()
accuracy = (twin(torch.from_numpy(X_test.astype(np.float32) / 255)).argmax(1).numpy() == y_test).mean()
print(f"PyTorch  test accuracy {accuracy:.4f}")
print("notes    no figure")

# %%
for split in ("train", "test"):
    plt.plot(
        [record.epoch for record in records], [getattr(record, split)["accuracy"] for record in records], label=split
    )
plt.xlabel("epoch")
plt.ylabel("accuracy")
plt.legend()
plt.show()
