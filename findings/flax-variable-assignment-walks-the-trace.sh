#!/bin/sh
# Assigning `variable[...] = x` while JAX traces walks through everything that was traced before.
#
# One would guess: an assignment to an nnx.Variable under jit costs the same however long the model is, and
#   `variable[...] = x` is the way to write what `variable.set_value(x)` does.
# What happens: Variable.__setitem__ compares the shardings of the old and the new value by getattr(x, "sharding", None).
#   A tracer answers with an AttributeError whose text names the arguments that x came from, and for that JAX searches
#   the whole program so far. Each assignment searches once per side; a trace with n assignments (batch normalisation
#   has three per layer) grows with n squared. `set_value(x)` without an index does not ask.
# Versions: jax 0.10.2, flax 0.12.8, Python 3.11.
# Source: flax/nnx/variablelib.py, Variable.set_value; jax/_src/interpreters/partial_eval.py, find_progenitors.
#
# Output seen:
#   v[...] = x: 40 searches in 20 assignments, through 420 equations; 80 in 40, through 1640
#   v.set_value(x): 0 searches in 20 assignments, through 0 equations; 0 in 40, through 0
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 flax==0.12.8
cat > "$work/count.py" <<'END'
import sys

import jax
import jax.numpy as jnp
from flax import nnx
from jax._src.interpreters import partial_eval

searches = []
search = partial_eval.JaxprStackFrame.find_progenitors


def counted(frame, tracer):
    searches.append(len(frame.tracing_eqns))
    return search(frame, tracer)


partial_eval.JaxprStackFrame.find_progenitors = counted


def with_item(variable, x):
    variable[...] = x


def count(assign, number):
    searches.clear()

    def run(x):
        variable = nnx.Variable(x)
        for _ in range(number):
            assign(variable, jnp.sin(variable[...]))
        return variable[...]

    jax.jit(run).trace(jnp.ones(3))
    return len(searches), sum(searches)


lines = []
for name, assign in (("v[...] = x", with_item), ("v.set_value(x)", lambda v, x: v.set_value(x))):
    (few, short), (many, long) = (count(assign, n) for n in (20, 40))
    lines.append((few, many, short, long))
    print(f"{name}: {few} searches in 20 assignments, through {short} equations; {many} in 40, through {long}")
(few, many, short, long), plain = lines
sys.exit(not (few >= 20 and many == 2 * few and long > 3 * short and plain == (0, 0, 0, 0)))
END
"$work/env/bin/python" "$work/count.py"
