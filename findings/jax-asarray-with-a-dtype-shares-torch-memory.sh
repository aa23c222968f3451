#!/bin/sh
# A JAX array changes when the PyTorch tensor that it was made from is trained on.
#
# One would guess: a JAX array is immutable, so weights that jnp.asarray has taken from a PyTorch model stay as they were.
# What happens: on a CPU jnp.asarray(tensor.numpy(), jnp.float32) takes the tensor's memory as its own, and a step of
#   PyTorch's optimiser, in place, changes the JAX array and everything computed from it later. Without the dtype, which is
#   the same, jnp.asarray copies, and so does jnp.array.
# Versions: jax and jaxlib 0.10.2, torch 2.14.1 (CPU), Python 3.11.
# Source: jax/_src/numpy/array_constructors.py, asarray: copy=None.
#
# Output seen:
#   jnp.asarray after the tensor has moved by 1: 0.0
#   jnp.asarray(..., jnp.float32) after the tensor has moved by 1: 1.0
#   jnp.array after the tensor has moved by 1: 0.0
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 torch==2.14.1 numpy
cat > "$work/shared.py" <<'END'
import sys

import jax.numpy as jnp
import torch

makers = {
    "jnp.asarray": lambda t: jnp.asarray(t.numpy()),
    "jnp.asarray(..., jnp.float32)": lambda t: jnp.asarray(t.numpy(), jnp.float32),
    "jnp.array": lambda t: jnp.array(t.numpy()),
}
seen = []
for name, make in makers.items():
    tensor = torch.zeros(4096)
    array = make(tensor).block_until_ready()
    tensor.add_(1)
    seen.append(float(array.max()))
    print(f"{name} after the tensor has moved by 1: {seen[-1]}")
sys.exit(seen != [0.0, 1.0, 0.0])
END
"$work/env/bin/python" "$work/shared.py"
