"""Meshes of devices, and what is computed there without optimisation, that differ."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from versions import is_from


def lookup(axis_types: tuple[AxisType, ...] | None) -> jax.Array:
    """Returns rows of a table that lies along a mesh's axis."""
    mesh = jax.make_mesh((1,), ("batch",), axis_types=axis_types)
    table = jax.device_put(jnp.arange(8.0).reshape(4, 2), NamedSharding(mesh, PartitionSpec("batch")))
    return table[jnp.array([0, 3])]


def test_rows_of_a_table_that_lies_along_a_meshs_axis():
    with pytest.raises(Exception, match="sharding") as refused:
        lookup(None)
    assert type(refused.value).__name__ == "ShardingTypeError"
    assert lookup((AxisType.Auto,)).tolist() == [[0, 1], [6, 7]]


@pytest.mark.skipif(is_from("jax", "0.11"), reason="newer ones have no such option")
def test_the_gradient_of_a_maximum_without_optimisation():
    random = np.random.default_rng(0)
    x, w = random.normal(size=(64, 32)).astype(np.float32), random.normal(size=(1, 32)).astype(np.float32)
    theirs = torch.tensor(x, requires_grad=True)
    (theirs * torch.tensor(w) + 1).amax(-1).sum().backward()
    gradient = jax.jit(jax.grad(lambda x, w: jnp.max(x * w + 1, -1).sum())).lower(x, w)
    for level, same in {3: True, 0: False}.items():
        options = {"xla_backend_optimization_level": level, "xla_cpu_use_fusion_emitters": True}
        ours = gradient.compile(compiler_options=options)(x, w)
        assert np.allclose(ours, theirs.grad) is same


def test_the_variable_of_asynchronous_dispatch():
    names = ("jax_cpu_enable_async_dispatch", "jax_enable_x64")
    code = f"import jax; print(*(getattr(jax.config, name, None) or jax.config._read(name) for name in {names}))"
    environment = os.environ | {"JAX_CPU_ENABLE_ASYNC_DISPATCH": "0", "JAX_ENABLE_X64": "0"}
    out = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    assert out.split() == ["True", "False"]
