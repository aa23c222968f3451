#!/bin/sh
# JAX_CPU_ENABLE_ASYNC_DISPATCH=0 in the environment leaves asynchronous dispatch on.
#
# One would guess: as of every other option, the environment variable of jax_cpu_enable_async_dispatch sets it.
# What happens: a call returns long before its result is there, with the variable as without; jax.config.update alone turns it off.
# Versions: jax and jaxlib 0.10.2, CPU, Python 3.11.
#
# Output seen, a call's part of the time until its result is there:
#   nothing said: returns at once True
#   JAX_CPU_ENABLE_ASYNC_DISPATCH=0: returns at once True
#   jax.config.update("jax_cpu_enable_async_dispatch", False): returns at once False
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 numpy
cat > "$work/dispatch.py" <<'END'
import sys
import time

import jax
import jax.numpy as jnp

if "update" in sys.argv:
    jax.config.update("jax_cpu_enable_async_dispatch", False)
product = jax.jit(lambda x: x @ x @ x @ x)
x = jnp.ones((2000, 2000))
product(x).block_until_ready()
shares = []
for _ in range(5):
    start = time.perf_counter()
    result = product(x)
    called = time.perf_counter() - start
    result.block_until_ready()
    shares.append(called / (time.perf_counter() - start))
print(sorted(shares)[2] < 0.5)
END
run() { "$work/env/bin/python" "$work/dispatch.py" "$@"; }
plain=$(run)
variable=$(JAX_CPU_ENABLE_ASYNC_DISPATCH=0 run)
update=$(run update)
echo "nothing said: returns at once $plain"
echo "JAX_CPU_ENABLE_ASYNC_DISPATCH=0: returns at once $variable"
echo "jax.config.update(\"jax_cpu_enable_async_dispatch\", False): returns at once $update"
[ "$plain $variable $update" = "True True False" ]
