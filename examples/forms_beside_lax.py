"""Time each form of `d2l_jax.cpu` and plain `lax` on this machine, forward and gradients, in milliseconds."""

from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from d2l_jax import functional, keep_memory, nn
from d2l_jax.cpu import plain_lax
from d2l_jax.cpu.compile import jit
from parity.bench.timing import take_turns

LAYERS = {  # layer, shape of its input
    "3x3, 64 channels (Winograd)": (lambda rngs: nn.Conv2d(64, 64, 3, padding=1, rngs=rngs), (8, 24, 24, 64)),
    "5x5, 96 to 128 (Winograd)": (lambda rngs: nn.Conv2d(96, 128, 5, padding=2, rngs=rngs), (4, 26, 26, 96)),
    "convolution 3x3, stride 2": (lambda rngs: nn.Conv2d(16, 16, 3, 2, 1, rngs=rngs), (8, 48, 48, 16)),
    "convolution 1x1, 64 channels": (lambda rngs: nn.Conv2d(64, 64, 1, rngs=rngs), (8, 24, 24, 64)),
    "convolution 5x5 of one channel (band)": (lambda rngs: nn.Conv2d(1, 6, 5, padding=2, rngs=rngs), (64, 28, 28, 1)),
    "depthwise convolution 3x3": (lambda rngs: nn.Conv2d(64, 64, 3, 1, 1, groups=64, rngs=rngs), (8, 24, 24, 64)),
    "largest of 3x3, stride 2": (lambda rngs: nn.MaxPool2d(3, stride=2, padding=1), (8, 48, 48, 64)),
    "mean of 2x2": (lambda rngs: nn.AvgPool2d(2), (64, 28, 28, 6)),
    "batch normalisation": (lambda rngs: nn.BatchNorm(64), (8, 24, 24, 64)),
    "dense layer over a sequence": (lambda rngs: nn.Linear(256, 256, rngs=rngs), (32, 32, 256)),
    "long short-term memory, 256 units": (lambda rngs: nn.LSTM(256, 256, rngs=rngs), (8, 128, 256)),
}


def compiled(layer: nnx.Module, x: jax.Array, form):
    """Compiles () -> (the sum of cubes of a layer's outputs, its gradients by weights and input) within `form`."""
    apply, params, buffers = functional(layer)

    def loss(params, x):
        y, *_ = jax.tree.leaves(apply(params, buffers, x)[0])  # of a recurrence the outputs, not the last state
        return jnp.sum(y**3)

    with form:
        program = jit(jax.value_and_grad(loss, argnums=(0, 1))).lower(params, x).compile()
    return lambda: jax.block_until_ready(program(params, x))


keep_memory()
for name, (make, shape) in LAYERS.items():
    layer = make(nnx.Rngs(0))
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    programs = {"form": compiled(layer, x, nullcontext()), "lax": compiled(layer, x, plain_lax())}
    for one, other in zip(*(jax.tree.leaves(program()) for program in programs.values()), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * float(jnp.abs(other).max()))
    stats = take_turns(programs, repeats=5, seconds=1.0).stats
    ours, plain = (1e3 * stats[form].median for form in programs)
    print(f"{name:<38} {ours:8.2f}   lax {plain:8.2f}   {plain / ours:6.1f} times")
