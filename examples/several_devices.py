"""Sections 13.3 and 13.5: two devices at work at once, and a data-parallel step from scratch beside the concise one."""

import time

import jax

jax.config.update("jax_num_cpu_devices", 2)  # before JAX computes; with two GPUs it is not needed

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from flax import nnx  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

from d2l_jax import TrainState, functional, losses, optim, supervised  # noqa: E402
from d2l_jax.models import LeNetScratch  # noqa: E402
from d2l_jax.train.devices import mesh_of, replicated, sharded  # noqa: E402
from d2l_jax.train.parallel import make_parallel_step  # noqa: E402

# Automatic parallelism: what does not depend on each other runs at once, each where its arrays lie.
product = jax.jit(lambda a: a @ a @ a)
matrices = [jax.device_put(jnp.eye(800), device) for device in jax.devices()[:2]]
jax.block_until_ready([product(a) for a in matrices])


def seconds(work) -> float:
    """Returns the least time of five runs."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


one_by_one = seconds(lambda: [product(a).block_until_ready() for a in matrices])
at_once = seconds(lambda: jax.block_until_ready([product(a) for a in matrices]))
print(f"two products one by one {1e3 * one_by_one:.1f} ms, at once {1e3 * at_once:.1f} ms")

# From scratch: every device has the parameters and a share of the batch; gradients are averaged, then all update alike.
mesh = mesh_of(2)
random = np.random.default_rng(0)
batch = {"input": random.random((256, 28, 28, 1), np.float32), "targets": random.integers(0, 10, 256, np.int32)}
net = functional(LeNetScratch(rngs=nnx.Rngs(0)))


def share(params, X, y):
    """Takes a step of SGD on this device's share of the batch."""
    loss = lambda params: losses.cross_entropy(net.apply(params, net.buffers, X)[0], y)  # noqa: E731
    gradients = jax.lax.pmean(jax.grad(loss)(params), "data")
    return jax.tree.map(lambda p, g: p - 0.2 * g, params, gradients)


spread = jax.shard_map(share, mesh=mesh, in_specs=(P(), P("data"), P("data")), out_specs=P(), check_vma=False)
scratch = jax.jit(spread)(replicated(net.params, mesh), *sharded(tuple(batch.values()), mesh))

# Concise: the step of one device, its state copied and its batch cut; the compiler finds what is to be sent.
turns = supervised(losses.cross_entropy, optim.SGD(lr=0.2))
state = replicated(TrainState.create(LeNetScratch(rngs=nnx.Rngs(0)), turns), mesh)
state, _ = make_parallel_step(LeNetScratch(rngs=nnx.Rngs(0)), turns, mesh)(state, sharded(batch, mesh))

gap = optax.tree.norm(optax.tree.sub(scratch, state.params)) / optax.tree.norm(scratch)
print(f"from scratch and concise, on {mesh.size} devices: the parameters differ by {gap:.0e} of their size")
assert gap < 1e-6
