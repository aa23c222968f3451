#!/bin/sh
# jax.nn.dot_product_attention has the precision of float32 when it is given float64.
#
# One would guess: with jax_enable_x64 and float64 queries, keys and values, the result is exact to about 1e-15, as
#   that of torch.nn.functional.scaled_dot_product_attention in double precision.
# What happens: the result's dtype is float64, and its digits are those of float32: the softmax is taken in float32
#   whatever the inputs are. A comparison of two models in float64 shows a gap of 1e-8 that neither model has.
# Versions: jax 0.10.2, jaxlib 0.10.2, torch 2.14.1 (CPU), Python 3.11.
# Source: jax/_src/nn/functions.py, _dot_product_attention_core: logits.astype(np.float32) before the softmax.
#
# Output seen:
#   jax: float64, largest error above 1e-9: True
#   torch: float64, largest error above 1e-14: False
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 torch==2.14.1
cat > "$work/compare.py" <<'END'
import sys

import jax
import numpy as np
import torch

jax.config.update("jax_enable_x64", True)
random = np.random.default_rng(0)
query, key, value = (random.normal(size=(2, 9, 4, 8)) for _ in range(3))  # batch, time, heads, features
scores = np.einsum("bqhd,bkhd->bhqk", query, key) / np.sqrt(8)
weights = np.exp(scores - scores.max(-1, keepdims=True))
exact = np.einsum("bhqk,bkhd->bqhd", weights / weights.sum(-1, keepdims=True), value)
ours = jax.nn.dot_product_attention(query, key, value)
heads_first = (torch.tensor(x).transpose(1, 2) for x in (query, key, value))
theirs = torch.nn.functional.scaled_dot_product_attention(*heads_first).transpose(1, 2)
jax_error, torch_error = (np.abs(np.asarray(x) - exact).max() for x in (ours, theirs))
print(f"jax: {ours.dtype}, largest error above 1e-9: {jax_error > 1e-9}")
print(f"torch: {theirs.numpy().dtype}, largest error above 1e-14: {torch_error > 1e-14}")
sys.exit(not (ours.dtype == np.float64 and 1e-9 < jax_error < 1e-5 and torch_error < 1e-14))
END
"$work/env/bin/python" "$work/compare.py"
