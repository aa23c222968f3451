# %% [markdown]
"""
# A3. A multilayer perceptron from scratch, 784-256-128-10

Chinese edition 4.2, English edition 5.2. Three matrices with small random weights: the first epochs hardly move,
since the signal shrinks from layer to layer, and then the loss falls fast.
On Fashion-MNIST the test accuracy swings between 0.834 and 0.873 over the last ten of the 30 epochs: that of the
last epoch alone, here 0.849 and in the notes 0.879, says little.
"""

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import torch

from d2l_jax import data

EPOCHS = int(os.environ.get("NOTES_EPOCHS", 30))
BATCH = 256
LR = 0.1

images = data.load(kind="image")
print(f"data     {images.name}: {images.source}")
X, X_test = (x.reshape(len(x), -1).astype(np.float32) / 255 for x in (images.train[0], images.test[0]))
y = images.train[1]
y_test = images.test[1]
random = np.random.default_rng(0)
sizes = [(X.shape[1], 256), (256, 128), (128, 10)]
start = [0.01 * random.standard_normal(size, np.float32) for size in sizes]
order = [data.batch_order(len(X), BATCH, seed=0, epoch=epoch) for epoch in range(EPOCHS)]


# %% JAX
def scores(params, X):
    *hidden, (W, b) = params
    for matrix, bias in hidden:
        X = jnp.maximum(X @ matrix + bias, 0)
    return X @ W + b


def cross_entropy(params, X, y):
    logits = scores(params, X)
    right = (logits.argmax(1) == y).sum()
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean(), right


@jax.jit
def descend(params, X, y, batches):
    def step(params, rows):
        (loss, right), grads = jax.value_and_grad(cross_entropy, has_aux=True)(params, X[rows], y[rows])
        return jax.tree.map(lambda p, g: p - LR * g, params, grads), (loss * len(rows), right)

    return jax.lax.scan(step, params, batches)


params = [(jnp.asarray(W), jnp.zeros(W.shape[1])) for W in start]
on_device = jnp.asarray(X), jnp.asarray(y)
curve = []
for full, rest in order:
    sums = np.zeros(2)
    for batches in (full, rest[None]):
        params, (losses, right) = descend(params, *on_device, batches)
        sums += losses.sum(), right.sum()
    curve.append(sums / len(X))
for epoch in (1, EPOCHS):
    print(f"JAX      epoch {epoch}: loss {curve[epoch - 1][0]:.4f}, accuracy {curve[epoch - 1][1]:.4f}")
print(f"JAX      test accuracy {(scores(params, X_test).argmax(1) == y_test).mean():.4f}")

# %% PyTorch
layers = [(torch.tensor(W, requires_grad=True), torch.zeros(W.shape[1], requires_grad=True)) for W in start]
inputs = torch.from_numpy(X)
labels = torch.from_numpy(y).long()


def torch_scores(X):
    *hidden, (W, b) = layers
    for matrix, bias in hidden:
        X = torch.relu(X @ matrix + bias)
    return X @ W + b


for full, rest in order:
    for rows in (*full, rest):
        torch.nn.functional.cross_entropy(torch_scores(inputs[rows]), labels[rows]).backward()
        with torch.no_grad():
            for p in (p for layer in layers for p in layer):
                p -= LR * p.grad
                p.grad = None
accuracy = (torch_scores(torch.from_numpy(X_test)).argmax(1).numpy() == y_test).mean()
print(f"PyTorch  test accuracy {accuracy:.4f}")
print("notes    epoch 1: loss 2.0744, accuracy 0.2627")
print("notes    epoch 30: loss 0.2668, accuracy 0.9015")
print("notes    test accuracy 0.8786, 156 s on a GPU")

# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for panel, values, name in zip(panels, np.transpose(curve), ("loss", "accuracy"), strict=True):
    panel.plot(range(1, EPOCHS + 1), values)
    panel.set(xlabel="epoch", ylabel=f"training {name}")
plt.show()
