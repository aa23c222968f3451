#!/bin/sh
# A linear schedule of Optax gives float32 though 64 bits are on.
#
# One would guess: with jax_enable_x64, linear_schedule(0.0, 0.1, 3) at step 1 is 0.1 / 3 to sixteen digits, as the same rate
#   from PyTorch's LinearLR is.
# What happens: Optax counts in int32, and JAX makes float32 of int32 divided by a Python number, whether 64 bits are on or
#   not; of int64 it makes float64. So the share of the way, and with it the rate, is float32, off by 1e-7 of itself. A
#   comparison in float64 with another framework sees every update differ.
# Versions: optax 0.2.8, jax and jaxlib 0.10.2, Python 3.11.
# Source: optax/schedules/_schedule.py, polynomial_schedule; jax/_src/dtypes.py, to_inexact_dtype.
#
# Output seen:
#   linear_schedule at step 1 of 3: float32, off by 1.6e-07; int32 / 3 is float32, int64 / 3 is float64
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q optax==0.2.8 jax==0.10.2 jaxlib==0.10.2
cat > "$work/schedule.py" <<'END'
import sys

import jax
import jax.numpy as jnp
import optax

jax.config.update("jax_enable_x64", True)


rate = optax.linear_schedule(0.0, 0.1, 3)(jnp.asarray(1, jnp.int32))
off = abs(float(rate) - 0.1 / 3) / (0.1 / 3)
narrow, wide = (jnp.asarray(1, kind) / 3 for kind in (jnp.int32, jnp.int64))
print(
    f"linear_schedule at step 1 of 3: {rate.dtype}, off by {off:.1e};"
    f" int32 / 3 is {narrow.dtype}, int64 / 3 is {wide.dtype}"
)
sys.exit((rate.dtype, narrow.dtype, wide.dtype) != ("float32", "float32", "float64") or off < 1e-9)
END
"$work/env/bin/python" "$work/schedule.py"
