"""Seconds of one core that a Gaussian process takes in JAX and in GPyTorch (float32), and 20,000 points by blocks.

On one core: taskset -c 0 python examples/gaussian_process_times.py; pip install gpytorch

A learning step is the loss per point and its gradient; a prediction is of mean and covariance at 100 new points. Up to
8,000 points both factor the matrix; GPyTorch's own way from 801 points on, conjugate gradients with random probes,
stands beside. More points go by blocks, in JAX alone: mean and variance. The least of four calls, above 2,000 points of
one; programs are compiled before.
"""

import argparse
import resource
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from d2l_jax.algorithms import curve, posterior_by_blocks, rbfkernel
from d2l_jax.cpu.compile import jit
from d2l_jax.functional import parts
from d2l_jax.models import ExactGPModel, exact_marginal_loss
from parity.reference.gpytorch_model import GPyTorchModel, gpytorch

warnings.simplefilter("ignore")

NEW = np.linspace(0, 5, 100, dtype=np.float32)
WHOLE = 8_000


def best(function, points):
    """Returns the least seconds of the processor in a call, which other programs do not lengthen, and its result."""
    seconds = []
    for _ in range(1 if points > 2_000 else 4):
        start = time.process_time()
        result = jax.block_until_ready(function())
        seconds.append(time.process_time() - start)
    return min(seconds), result


def jax_calls(X, y):
    """Returns the learning step and the prediction of a compiled program each."""
    run, params, buffers = parts(ExactGPModel(rngs=nnx.Rngs(0)))

    def loss_of(params, tensors):
        return run(lambda nets: exact_marginal_loss(nets, tensors)[0], params, buffers)[0]

    def predicted(params, X, y, new):
        return tuple(run(lambda nets: nets.posterior(X, y, new), params, buffers)[0])

    tensors = {"X": jnp.asarray(X), "y": jnp.asarray(y)}
    learn = jit(jax.value_and_grad(loss_of)).lower(params, tensors).compile()
    predict = jit(predicted).lower(params, tensors["X"], tensors["y"], jnp.asarray(NEW)).compile()
    return lambda: learn(params, tensors)[0], lambda: predict(params, tensors["X"], tensors["y"], jnp.asarray(NEW))


def torch_calls(X, y):
    """Returns the learning step and the prediction of GPyTorch, which keeps nothing from call to call."""
    model = GPyTorchModel(torch.tensor(X), torch.tensor(y))

    def learn():
        model.train()
        loss = model.loss()
        loss.backward()
        return loss.item()

    def predict():
        model.train()  # forgets what it has computed
        model.eval()
        with torch.no_grad():
            known = model(torch.tensor(NEW))
            return known.mean.numpy(), known.covariance_matrix.numpy()

    return learn, predict


def whole(X, y):
    """Prints a row of the table for points whose matrix is factored."""
    points = len(X)
    ours, theirs = jax_calls(X, y), torch_calls(X, y)
    mine = [best(call, points) for call in ours]
    with gpytorch.settings.max_cholesky_size(10**6):
        exact = [best(call, points) for call in theirs]
    own = [best(call, points) for call in theirs]
    gap = abs(float(mine[0][1]) - exact[0][1]), np.abs(mine[1][1][0] - exact[1][1][0]).max()
    seconds = " | ".join(f"{way[number][0]:.3g}" for number in (0, 1) for way in (mine, exact, own))
    print(f"| {points:,} | {seconds} | {gap[0]:.0e} | {gap[1]:.0e} |", flush=True)


def by_blocks(X, y):
    """Prints what a posterior takes whose matrix would be too large, at the scales that the model starts from."""
    start = float(np.log(2))

    def kernel(x1, x2):
        return rbfkernel(x1, x2, start, np.sqrt(start), ls_is="length")

    known = jit(lambda X, y, new: posterior_by_blocks(kernel, X, y, new, np.sqrt(start)))
    program = known.lower(jnp.asarray(X), jnp.asarray(y), jnp.asarray(NEW)).compile()
    seconds, result = best(lambda: program(jnp.asarray(X), jnp.asarray(y), jnp.asarray(NEW)), len(X))
    held = program.memory_analysis().temp_size_in_bytes
    print(
        f"{len(X):,} points by blocks: {seconds:.0f} s, {result.iterations} iterations, to {result.residual:.0e}; "
        f"{held / 1e6:.0f} MB beside the data where the matrix takes {4e-6 * len(X) ** 2:,.0f} MB; "
        f"peak of the whole process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB"
    )


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("points", metavar="POINTS", nargs="*", type=int, default=[500, 2_000], help="500 2000 if none")
chosen = parser.parse_args().points

print(f"{torch.get_num_threads()} threads in PyTorch")
ways = "JAX | GPyTorch, factor | GPyTorch's own"
print(f"| points | learn: {ways} | predict: {ways} | gap of the loss | of the mean |")
print("| --: " * 9 + "|")
for points in chosen:
    random = np.random.default_rng(0)
    X = np.linspace(0, 5, points, dtype=np.float32)
    y = (curve(X) + 0.25 * random.normal(size=points)).astype(np.float32)
    (whole if points <= WHOLE else by_blocks)(X, y)
