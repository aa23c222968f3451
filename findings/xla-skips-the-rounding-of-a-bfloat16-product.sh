#!/bin/sh
# jax.jit leaves out the rounding of a product of bfloat16 where the next operation is a conversion to float32.
#
# One would guess: x * x of two bfloat16 arrays is bfloat16, with 8 bits, under jit as without it; who then writes
#   .astype(float32) gets these 8 bits in a wider format. PyTorch, and JAX operation by operation, do that.
# What happens: on a CPU XLA computes the product in float32, and drops the conversions to bfloat16 and back that it has put in
#   itself: what comes out has the digits of float32. A conversion that the user writes, x.astype(bfloat16).astype(float32),
#   is kept, and so is the product where nothing converts it. --xla_allow_excess_precision=false restores the rounding, and
#   lax.reduce_precision forces it. Newton and Schulz's iteration of Muon is 1 % off after five steps for this reason.
# Versions: jax and jaxlib 0.10.2 (the same with 0.12.0.1), Python 3.11, x86-64.
# Source: jax.lax.reduce_precision's documentation names the option; xla/debug_options_flags.cc, xla_allow_excess_precision.
#
# Output seen:
#   numbers of 60 that jit changes: 57 of a product, 0 of a conversion, 0 of a product without the option, 0 with reduce_precision
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2
cat > "$work/product.py" <<'END'
import jax
import jax.numpy as jnp

x = jax.random.normal(jax.random.key(0), (60,)).astype(jnp.bfloat16)
wide = jax.random.normal(jax.random.key(0), (60,))


def changed(function, x):
    with jax.disable_jit():
        plain = function(x)
    return int((jax.jit(function)(x) != plain).sum())


def rounded(x):
    return jax.lax.reduce_precision((x * x).astype(jnp.float32), 8, 7)


counts = (
    changed(lambda x: (x * x).astype(jnp.float32), x),
    changed(lambda x: x.astype(jnp.bfloat16).astype(jnp.float32) * 1.5, wide),
    changed(rounded, x),
)
print(*counts)
END
set -- $("$work/env/bin/python" "$work/product.py") $(XLA_FLAGS=--xla_allow_excess_precision=false "$work/env/bin/python" "$work/product.py")
echo "numbers of 60 that jit changes: $1 of a product, $2 of a conversion, $4 of a product without the option, $3 with reduce_precision"
test "$1" -gt 30 && test "$2" -eq 0 && test "$3" -eq 0 && test "$4" -eq 0
