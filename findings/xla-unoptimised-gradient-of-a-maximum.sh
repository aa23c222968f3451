#!/bin/sh
# The gradient of a maximum along an axis is wrong where XLA compiles for a CPU without optimisation.
#
# One would guess: xla_backend_optimization_level=0 asks for machine code that is slower and no other; results differ by rounding.
# What happens: the gradient of max(x * w + 1) along an axis is infinite in places. It divides by the number of elements that equal
#   their maximum; level 0 rounds x * w + 1 otherwise where it compares it than where it takes the maximum, so that in some rows no
#   element equals it, and 1 is divided by 0. Where the emitters of fusions are turned off as well, such rows have NaN or no gradient at all.
# Versions: jax and jaxlib 0.10.2, CPU, Python 3.11.
# Source: jax/_src/lax/lax.py, _reduce_chooser_jvp_rule: counts the locations that equal the result, and divides by the count.
#
# Output seen:
#   as compiled by default: all finite True
#   level 0: all finite False
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 numpy
cat > "$work/maximum.py" <<'END'
import sys

import jax
import jax.numpy as jnp
import numpy as np

random = np.random.default_rng(0)
x, w = random.normal(size=(64, 32)).astype(np.float32), random.normal(size=32).astype(np.float32)
gradient = jax.jit(jax.grad(lambda x, w: jnp.max(x * w + 1, -1).sum())).lower(x, w)
seen = []
for name, options in {"as compiled by default": {}, "level 0": {"xla_backend_optimization_level": 0}}.items():
    seen.append(bool(jnp.isfinite(gradient.compile(compiler_options=options)(x, w)).all()))
    print(f"{name}: all finite {seen[-1]}")
sys.exit(seen != [True, False])
END
"$work/env/bin/python" "$work/maximum.py"
