"""A step over eight devices is the step on one, or that of eight replicas whose gradients are averaged."""

import subprocess
import sys

import pytest

PROGRAM = """
import jax
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
import numpy as np
from flax import nnx
from d2l_jax import losses, nn, optim, supervised
from d2l_jax.errors import InputError
from d2l_jax.metrics import LABELS
from d2l_jax.train import TrainState, make_train_step
from d2l_jax.train.devices import mesh_of, replicated, sharded
from d2l_jax.train.parallel import make_parallel_step

random = np.random.default_rng(0)
turns = supervised(losses.cross_entropy, optim.SGD(0.1, momentum=0.9), clip=0.5)
mesh = mesh_of(8)

def net(*middle):
    rngs = nnx.Rngs(0)
    model = nn.Sequential(nn.Linear(5, 7, rngs=rngs), *middle, nnx.tanh, nn.Linear(7, 3, rngs=rngs))
    for _, leaf in nnx.iter_graph(model):
        if isinstance(leaf, nnx.Variable) and jnp.issubdtype(leaf.dtype, jnp.floating):
            leaf.set_value(leaf[...].astype("float64"))
    return model

def batch(size):
    return {"input": random.normal(size=(size, 5)), "targets": random.integers(0, 3, size)}

def numbers(tree):
    return [np.asarray(x) for x in jax.tree.leaves(tree) if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key)]

def gap(left, right):
    return max((np.max(np.abs(x - y)) for x, y in zip(numbers(left), numbers(right), strict=True)), default=0.0)

def both(model, data, kind):
    state = TrainState.create(model, turns)
    one, results = make_train_step(model, turns)(jax.tree.map(jnp.copy, state), data)
    step = make_parallel_step(model, turns, mesh, LABELS, kind)
    state, several = step(replicated(state, mesh), data)
    assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves((state, several)))
    return gap(one.params, state.params), gap(one.buffers, state.buffers), gap(results, several)

for name, middle in (("plain", ()), ("norm", (nn.BatchNorm(7),)), ("dropout", (nnx.Dropout(0.5, rngs=nnx.Rngs(1)),))):
    for kind in ("synchronised", "per-replica"):
        print(name, kind, *both(net(*middle), batch(16), kind))
print("rest", "per-replica", *both(net(nn.BatchNorm(7)), batch(6), "per-replica"))
for refused in (lambda: make_parallel_step(net(), turns, mesh, {}, "per-replika"), lambda: sharded(batch(12), mesh)):
    try:
        refused()
    except InputError as error:
        print("refused", error)
"""


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """The lines that a process with eight devices prints: JAX counts its devices once."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def gaps(printed: list[str], *named: str) -> list[float]:
    """The largest differences of parameters, buffers and results."""
    return next([float(x) for x in line.split()[2:]] for line in printed if tuple(line.split()[:2]) == named)


@pytest.mark.parametrize("name", ["plain", "norm", "dropout"])
def test_a_synchronised_step_is_that_on_one_device(printed: list[str], name: str):
    assert max(gaps(printed, name, "synchronised")) < 1e-14


def test_replicas_without_statistics_are_one_device(printed: list[str]):
    assert max(gaps(printed, "plain", "per-replica")) < 1e-14


@pytest.mark.parametrize("name", ["norm", "dropout"])
def test_control_replicas_have_statistics_and_masks_of_their_own(printed: list[str], name: str):
    assert gaps(printed, name, "per-replica")[0] > 1e-4


def test_a_batch_that_does_not_divide_is_taken_whole(printed: list[str]):
    assert max(gaps(printed, "rest", "per-replica")) < 1e-14


def test_what_cannot_be_is_refused_in_a_line(printed: list[str]):
    kind, size = [line for line in printed if line.startswith("refused")]
    assert "unknown batch_norm 'per-replika'; did you mean per-replica" in kind
    assert "a batch of 12 does not divide over 8 devices; a multiple of it is right" in size
