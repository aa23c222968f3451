"""Section 13.2: a call returns before its result is there, unless JAX is told to wait or computes in the caller."""

import subprocess
import sys
import time

import jax
import jax.numpy as jnp

SETTING = "jax_cpu_enable_async_dispatch"
PRODUCTS = 10


@jax.jit
def chain(a: jax.Array) -> jax.Array:
    """Multiplies a matrix by itself again and again."""
    for _ in range(PRODUCTS):
        a = a @ a
    return a


def measured(a: jax.Array) -> tuple[float, float]:
    """Returns the milliseconds until the call returns, and until its result is there."""
    start = time.perf_counter()
    result = chain(a)
    returned = time.perf_counter()
    result.block_until_ready()
    return 1e3 * (returned - start), 1e3 * (time.perf_counter() - start)


if not sys.argv[1:]:  # the setting holds for a process: one each
    for choice in ("on", "off"):
        subprocess.run([sys.executable, __file__, choice], check=True)
else:
    jax.config.update(SETTING, sys.argv[1] == "on")
    matrix = jnp.eye(1000)
    chain(matrix).block_until_ready()
    returned, done = min((measured(matrix) for _ in range(5)), key=lambda both: both[1])
    kind = "on" if sys.argv[1] == "on" else "off, as after keep_memory()"
    print(f"dispatch {kind}: the call returns after {returned:.1f} ms, its result is there after {done:.1f} ms")
