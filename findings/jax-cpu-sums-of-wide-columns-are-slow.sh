#!/bin/sh
# On a CPU a sum over the first axis falls off a cliff where there are many columns: the bias of a layer over a vocabulary.
#
# One would guess: jnp.sum(x, 0) reads 10 million numbers in the same time whether they stand in 2,560 columns or in 20,256.
# What happens: jaxlib 0.10 gives sums to YNNPACK. With some thousand columns that is as quick as XLA's own loop; with 20,256 it
#   takes 40 times as long, with 80,000 60 times; jnp.max and jnp.min alike. The gradient of a vocabulary's bias is such a sum. A
#   program compiled with xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT, which leaves YNNPACK the
#   products alone, has no cliff; but then the largest along the LAST axis, which every softmax begins with, takes ten times as long
#   (XLA's maximum hands NaN on and is not vectorised): lax.reduce by a > b in its place does not.
# Versions: jax and jaxlib 0.10.2, Python 3.11, x86-64.
# Source: measured.
#
# Output seen (AVX-512, CPU milliseconds, smallest of 8 runs):
#   sum over the first axis: 4096x2560 2.8, 512x20256 72.9; without YNNPACK's sums 512x20256 1.9
#   largest along the last axis: 512x20256 2.0; without YNNPACK's 25.8, by comparison 4.2
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 numpy
cat > "$work/columns.py" <<'END'
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

PRODUCTS_ALONE = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}


def milliseconds(function, x, options=None):
    compiled = jax.jit(function, compiler_options=options)
    result, times = compiled(x).block_until_ready(), []
    for _ in range(8):
        start = time.process_time()
        compiled(x).block_until_ready()
        times.append(time.process_time() - start)
    return 1e3 * min(times), result


def by_comparison(x):
    return jax.lax.reduce(x, np.float32(-np.inf), lambda a, b: jnp.where(a > b, a, b), (1,))


random = np.random.default_rng(0)
narrow, wide = (jax.device_put(random.normal(size=size).astype(np.float32)) for size in ((4096, 2560), (512, 20256)))
few, _ = milliseconds(lambda x: x.sum(0), narrow)
many, one = milliseconds(lambda x: x.sum(0), wide)
without, other = milliseconds(lambda x: x.sum(0), wide, PRODUCTS_ALONE)
print(f"sum over the first axis: 4096x2560 {few:.1f}, 512x20256 {many:.1f}; without YNNPACK's sums 512x20256 {without:.1f}")
stock, rows = milliseconds(lambda x: x.max(1), wide)
slow, _ = milliseconds(lambda x: x.max(1), wide, PRODUCTS_ALONE)
compared, same = milliseconds(by_comparison, wide, PRODUCTS_ALONE)
print(f"largest along the last axis: 512x20256 {stock:.1f}; without YNNPACK's {slow:.1f}, by comparison {compared:.1f}")
equal = np.allclose(one, other, rtol=1e-3, atol=1e-3) and np.array_equal(rows, same)
sys.exit(not (equal and many > 5 * few and many > 5 * without and slow > 2 * stock and slow > 2 * compared))
END
"$work/env/bin/python" "$work/columns.py"
