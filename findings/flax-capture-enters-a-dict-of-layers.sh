#!/bin/sh
# nnx.capture adds an entry to every nnx.Dict of the model, which a model that goes through its layers then calls.
#
# One would guess: capturing what a model sows changes nothing that the model can see; a loop over the values of an nnx.Dict
#   meets the layers that were put in.
# What happens: capture notes its variables in an attribute __captures__ of each module while the function runs, and an
#   attribute of an nnx.Dict is an entry. keys(), values() and items() have one more, a tuple, and the loop calls it:
#   TypeError. After the error the entry stays, so that the model fails without capture, too. nnx.List has no such entry.
# Versions: flax 0.12.8, jax and jaxlib 0.10.2, Python 3.11.
# Source: flax/nnx/module.py, capture.
#
# Output seen:
#   before: ['first', 'second']
#   under capture: TypeError: 'tuple' object is not callable
#   after: ['first', 'second', '__captures__']
#   nnx.List under capture: 2 layers
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 flax==0.12.8 numpy
cat > "$work/capture.py" <<'END'
import sys

import jax.numpy as jnp
from flax import nnx


class Tower(nnx.Module):
    def __init__(self, layers):
        self.layers = layers


def through(tower, x):
    for layer in tower.layers.values():
        x = layer(x)
    return x


def linear():
    return nnx.Linear(2, 2, rngs=nnx.Rngs(0))


x = jnp.ones((1, 2))
tower = Tower(nnx.Dict(first=linear(), second=linear()))
through(tower, x)
before = list(tower.layers.keys())
print("before:", before)
try:
    nnx.capture(through)(tower, x)
    met = "nothing"
except TypeError as error:
    met = f"TypeError: {error}"
print("under capture:", met)
after = list(tower.layers.keys())
print("after:", after)
count = nnx.capture(lambda tower, x: len(list(tower.layers)))(Tower(nnx.List([linear(), linear()])), x)
print("nnx.List under capture:", count, "layers")
same = met == "TypeError: 'tuple' object is not callable" and set(after) - set(before) == {"__captures__"} and count == 2
sys.exit(not same)
END
"$work/env/bin/python" "$work/capture.py"
