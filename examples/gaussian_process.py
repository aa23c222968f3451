"""Gaussian processes on the curve of chapter 18: what both editions learn, GPyTorch's model, the band."""

import argparse
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from flax import nnx

from d2l_jax import TrainState, make_train_step
from d2l_jax.algorithms import curve, learn_kernel, posterior, rbfkernel
from d2l_jax.catalog import get
from d2l_jax.models import ExactGPModel

matplotlib.use("Agg")
from matplotlib import pyplot as plt

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, help="for the pictures; else a temporary one")
folder = parser.parse_args().folder or Path(tempfile.mkdtemp())
folder.mkdir(parents=True, exist_ok=True)
X = np.linspace(0, 5, 50)
y = curve(X) + 0.25 * np.random.RandomState(2).randn(50)  # the second edition's seed; the first has none
X, y = jnp.asarray(X, jnp.float32), jnp.asarray(y, jnp.float32)
X_new = jnp.linspace(0, 5, 500)


def draw(axes, title, known, noise):
    """Draws the mean, the band of the function, that of observations, and 20 functions."""
    observed = known.band(noise)
    axes.fill_between(X_new, *observed, color="tab:blue", alpha=0.15, linewidth=0, label="95 %, observations")
    axes.fill_between(X_new, *known.band(), color="tab:blue", alpha=0.3, linewidth=0, label="95 %, function")
    axes.plot(X_new, known.sample(jax.random.key(0), 20).T, color="grey", linewidth=0.3)
    axes.plot(X_new, curve(np.asarray(X_new)), color="black", linestyle="--", label="true function")
    axes.plot(X_new, known.mean, color="tab:blue", label="mean")
    axes.plot(X, y, "o", color="tab:orange", markersize=3)
    inside = np.mean((y >= np.interp(X, X_new, observed[0])) & (y <= np.interp(X, X_new, observed[1])))
    axes.set(title=title, xlabel="x")
    print(f"{title}: {inside:.0%} of the points within the band of observations")


figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
first = learn_kernel(X, y)
second = learn_kernel(X, y, ls_is="length")
for name, learned in (("first edition, squared length scale", first), ("second edition, length scale", second)):
    print(f"{name} {learned.ls:.3f}, noise {learned.noise:.3f}, loss {learned.loss:.3f}")
kernel = partial(rbfkernel, ls=first.ls)
draw(axes[0], "from scratch", posterior(kernel, X, y, X_new, first.noise), first.noise)

case = get("exact-gp")
model = ExactGPModel(rngs=nnx.Rngs(0))
state = TrainState.create(model, case.turns)
step = make_train_step(model, case.turns, {})
losses = []
for iteration in range(50):
    nnx.update(model, state.params)
    length = model.covar_module.base_kernel.lengthscale().item()
    noise = model.likelihood.noise_covar().item()
    state, metrics = step(state, {"X": X, "y": y})
    losses.append(float(metrics["loss"]))
    if iteration % 10 == 0:
        print(f"step {iteration + 1}: loss {losses[-1]:.3f}, length scale {length:.3f}, noise variance {noise:.3f}")
nnx.update(model, state.params)
draw(axes[1], "GPyTorch's model", model.posterior(X, y, X_new), model.noise())
axes[0].legend(loc="lower left", fontsize=8)
figure.savefig(folder / "gaussian_process.png", dpi=120)
print(folder / "gaussian_process.png")

if find_spec("gpytorch"):
    import torch

    from parity.reference.gpytorch_model import GPyTorchModel

    theirs = GPyTorchModel(torch.tensor(np.array(X)), torch.tensor(np.array(y)))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.1)
    gaps = []
    for ours in losses:
        optimizer.zero_grad()
        loss = theirs.loss()
        loss.backward()
        gaps.append(abs(loss.item() - ours))
        length, noise = theirs.covar_module.base_kernel.lengthscale.item(), theirs.likelihood.noise.item()
        optimizer.step()
        if len(gaps) % 10 == 1:
            print(f"GPyTorch, step {len(gaps)}: loss {loss.item():.3f}, {length:.3f}, {noise:.3f}")
    print(f"largest gap of the loss to GPyTorch in 50 steps: {max(gaps):.1e}")
