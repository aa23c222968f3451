#!/bin/sh
# A NumPy array of float64 in a jitted function, used in both precisions, does not compile.
#
# One would guess: `jax.enable_x64(True)` makes a program of float64 from a function that has been traced in float32 before.
# What happens: JAX keeps the float32 copy of an array that a function closes over, by the array alone, as long as the first
#   program lives; within enable_x64 the trace takes it for float32, and the operation around it for float64. The compiler
#   refuses: "'stablehlo.broadcast_in_dim' op requires compatible element types". After jax.clear_caches() it compiles.
# Versions: jax and jaxlib 0.10.2, Python 3.11.
# Source: jax/_src/abstract_arrays.py, weak_key_weak_value_cache; since jaxlib's own, canonicalize_value.
#
# Output seen:
#   float64 after float32: refused; after clear_caches: float64
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 numpy
cat > "$work/constant.py" <<'END'
import sys

import jax
import numpy as np

weights = np.array([0.1, 0.5, 0.9])


def weighed(x):
    return (weights * x).mean()


def exact():
    with jax.enable_x64(True):
        try:
            return str(jax.jit(lambda x: weighed(x))(np.ones((2, 3))).dtype)
        except ValueError as error:
            return "refused" if "compatible element types" in str(error) else str(error)


jax.eval_shape(weighed, np.ones((2, 3), np.float32))
first = exact()
jax.clear_caches()
second = exact()
print(f"float64 after float32: {first}; after clear_caches: {second}")
sys.exit((first, second) != ("refused", "float64"))
END
"$work/env/bin/python" "$work/constant.py"
