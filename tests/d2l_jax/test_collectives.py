"""Collectives are counted in compiled programs, with their arrays and bytes."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from d2l_jax.train.collectives import Collective, collectives, collectives_in

PROGRAM = """
import jax
jax.config.update("jax_num_cpu_devices", 4)
import jax.numpy as jnp
from flax import nnx
from jax.sharding import PartitionSpec as P
from d2l_jax import TrainState, losses, nn, optim, supervised
from d2l_jax.train.collectives import collectives
from d2l_jax.train.devices import mesh_of, replicated, sharded
from d2l_jax.train.parallel import make_parallel_step

mesh = mesh_of(4)
gather = jax.shard_map(lambda x: jax.lax.all_gather(x, "data"), mesh=mesh, in_specs=P("data"), out_specs=P("data"))
print(collectives(jax.jit(gather), jnp.zeros((8, 3), jnp.float32)))
turns = supervised(losses.mse, optim.SGD(0.1))
batch = sharded({"input": jnp.zeros((8, 3)), "targets": jnp.zeros((8, 2))}, mesh)
for kind in ("synchronised", "per-replica"):
    model = nn.Linear(3, 2, rngs=nnx.Rngs(0))
    state = replicated(TrainState.create(model, turns), mesh)
    print(collectives(make_parallel_step(model, turns, mesh, {}, kind), state, batch))
"""


@pytest.mark.slow
def test_a_step_sends_its_loss_and_gradients_once():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    gathered, synchronised, replicas = (eval(line, {"Collective": Collective}) for line in done.stdout.splitlines())
    assert gathered == {"all-gather": Collective(1, 1, 4 * 8 * 3 * 4 // 4)}
    numbers = 3 * 2 + 2 + 1  # weight, bias and loss, float32
    for step in (synchronised, replicas):
        assert step.keys() == {"all-reduce"}
        assert step["all-reduce"].arrays == 3 and step["all-reduce"].bytes == 4 * numbers


def test_a_program_for_one_device_sends_nothing():
    assert collectives(jax.jit(lambda x: x @ x), jnp.eye(3)) == {}


def test_several_results_and_types_are_counted():
    text = """
      %a = (f32[3,2]{1,0}, bf16[5]{0}, /*index=2*/pred[]) all-reduce(%x, %y, %z), channel_id=1
      %b = f64[4]{0} all-reduce-start(%a)
      %c = s32[2,2]{1,0} reduce-scatter(%b)
      %d = f32[4]{0} add(%all-reduce, %b)
    """
    counts = collectives_in(text)
    assert counts == {"all-reduce": Collective(2, 4, 24 + 10 + 1 + 32), "reduce-scatter": Collective(1, 1, 16)}
