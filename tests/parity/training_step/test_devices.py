"""A step of DistributedDataParallel over two processes beside one of JAX over two devices."""

import os
import subprocess
import sys

import pytest

WORKER = """
import sys
import jax, jax.numpy as jnp, numpy as np, optax, torch
from jax.sharding import Mesh, PartitionSpec as P
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
import parity

rank, file = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))
model = DistributedDataParallel(net)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

def torch_step(model, optimizer, batch):
    x, y = (part.chunk(2)[rank] for part in batch)
    optimizer.zero_grad()
    cross_entropy(model(x), y).backward()
    optimizer.step()

mesh = Mesh(np.array(jax.devices()), "data")
tx = optax.adam(0.01)

def loss(params, batch):
    x, y = batch
    scores = jnp.tanh(x @ params["a"]["kernel"] + params["a"]["bias"]) @ params["b"]["kernel"] + params["b"]["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()

def step_with(combine):
    def grads(params, batch):
        return jax.tree.map(lambda g: combine(g, "data"), jax.grad(loss)(params, batch))

    spread = jax.shard_map(grads, mesh=mesh, in_specs=(P(), P("data")), out_specs=P(), check_vma=False)

    @jax.jit
    def step(params, opt_state, batch):
        updates, opt_state = tx.update(spread(params, batch), opt_state)
        return optax.apply_updates(params, updates), opt_state

    return step

random = np.random.default_rng(0)
batches = [(random.normal(size=(12, 5)).astype(np.float32), random.integers(0, 3, 12)) for _ in range(2)]
dense = lambda i, o: {"kernel": jnp.zeros((i, o)), "bias": jnp.zeros(o)}
params = {"a": dense(5, 7), "b": dense(7, 3)}
for combine in (jax.lax.pmean, jax.lax.psum):
    result = parity.check_step(step_with(combine), (params, tx.init(params)), torch_step, model, optimizer, batches)
    print(len(jax.devices()), result.status, result.blame and result.blame.text)
torch_step(model, optimizer, [torch.tensor(part) for part in batches[0]])  # it still works
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_beside_two_devices(tmp_path):
    """Both processes check in step with one another; each has JAX's two devices to itself."""
    settings = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", WORKER]
    workers = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "meet")], env=os.environ | settings, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]  # fmt: skip
    for worker in workers:
        out, errors = worker.communicate(timeout=300)
        right, summed = out.splitlines() or [errors, ""]
        assert right == "2 pass None", right
        assert "the gradient that Flax's optimiser meets is 2 times PyTorch's" in summed
