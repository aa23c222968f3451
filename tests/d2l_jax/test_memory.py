"""Freed memory that stays: page faults are counted in a fresh process, since the C library's ways cannot be undone."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource, sys
from d2l_jax.cpu.memory import keep_memory
if sys.argv[1] == "kept":
    assert keep_memory()
import jax.numpy as jnp
from d2l_jax.cpu.compile import jit
from d2l_jax.cpu.materialised import materialised

# 80 MiB between two loops: only the main thread's heap has room for it.
step = jit(lambda x: jnp.sum(x * materialised(x + 1)[::-1]))
x = jnp.ones((8192, 2560))
for _ in range(5):
    step(x).block_until_ready()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

counts = []
for _ in range(10):
    before = faults()
    step(x).block_until_ready()
    counts.append(faults() - before)
print(sorted(counts)[5])
"""


def faults(way: str) -> int:
    """Returns the page faults of the middle call: now and then one or two of the ten meet fresh pages."""
    command = [sys.executable, "-c", PROGRAM, way]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent).stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_a_program_that_runs_again_gets_its_pages_back():
    assert faults("kept") * 20 < faults("given back")
