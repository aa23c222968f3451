"""Section 13.1: an MLP whose layers run one by one, and the same as one compiled program."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from d2l_jax import functional
from d2l_jax.models import compiled_mlp
from parity.bench.timing import take_turns

net = functional(compiled_mlp(rngs=nnx.Rngs(0)))
x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 512)), jnp.float32)
compiled = jax.jit(net.apply)
gap = jnp.abs(net.apply(net.params, net.buffers, x)[0] - compiled(net.params, net.buffers, x)[0]).max()
programs = {
    "eager": lambda: jax.block_until_ready(net.apply(net.params, net.buffers, x)),
    "compiled": lambda: jax.block_until_ready(compiled(net.params, net.buffers, x)),
}
stats = take_turns(programs, repeats=10, seconds=1.0).stats
eager, jitted = (1e6 * stats[name].median for name in programs)
print(f"eager {eager:.0f} us, compiled {jitted:.0f} us: {eager / jitted:.0f} times; the outputs differ by {gap:.0e}")
