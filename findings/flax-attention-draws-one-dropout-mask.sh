#!/bin/sh
# Dropout of attention drops the same places in every example and every head.
#
# One would guess: a dropout rate of 0.5 draws a mask for each example and head, as PyTorch's attention does.
# What happens: nnx.MultiHeadAttention and linen.MultiHeadDotProductAttention have broadcast_dropout=True, and the function
#   below them, too: one mask of (1, 1, queries, keys) for the whole batch. What an example loses, all lose. The models of
#   other libraries that are built on it (transformers' Flax classes) have it as well; a port trains otherwise than PyTorch's.
# Versions: flax 0.12.8, jax and jaxlib 0.10.2, Python 3.11.
# Source: flax/nnx/nn/attention.py, dot_product_attention_weights.
#
# Output seen:
#   masks that differ among 4 examples and 2 heads: 1 by default, 8 with broadcast_dropout=False
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 flax==0.12.8 numpy
cat > "$work/masks.py" <<'END'
import sys

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

query = key = jnp.ones((4, 6, 2, 8))


def masks(**options):
    weights = nnx.dot_product_attention  # with one-hot values the output shows the weights themselves
    value = jnp.broadcast_to(jnp.eye(6)[None, :, None], (4, 6, 2, 6))
    out = weights(query, key, value, dropout_rng=jax.random.key(0), dropout_rate=0.5, deterministic=False, **options)
    dropped = np.asarray(out).transpose(0, 2, 1, 3).reshape(8, -1) == 0
    return len({row.tobytes() for row in dropped})


default, own = masks(), masks(broadcast_dropout=False)
print(f"masks that differ among 4 examples and 2 heads: {default} by default, {own} with broadcast_dropout=False")
sys.exit((default, own) != (1, 8))
END
"$work/env/bin/python" "$work/masks.py"
