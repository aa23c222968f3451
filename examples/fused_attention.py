"""BERT's attention as the book writes it, beside JAX's own `dot_product_attention`: value and gradients (section 15.8).

XLA fuses scale, mask and softmax of either. JAX has no dropout in its own, which BERT needs before the values.
"""

import math
import time

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.models.attention import masked_softmax

BATCH, HEADS, STEPS, HEAD_SIZE = 128, 2, 64, 64  # a quarter of the book's batch
TURNS = 15

Q, K, V = jax.random.normal(jax.random.key(0), (3, BATCH, STEPS, HEADS, HEAD_SIZE))
valid_lens = jax.random.randint(jax.random.key(1), (BATCH,), 1, STEPS + 1)


def explicit(Q, K, V):
    """The heads are folded into the batch, as in `MultiHeadAttention`."""
    Q, K, V = (X.swapaxes(1, 2).reshape(-1, STEPS, HEAD_SIZE) for X in (Q, K, V))
    scores = Q @ K.swapaxes(1, 2) / math.sqrt(HEAD_SIZE)
    outputs = masked_softmax(scores, jnp.repeat(valid_lens, HEADS)) @ V
    return outputs.reshape(BATCH, HEADS, STEPS, HEAD_SIZE).swapaxes(1, 2)


def fused(Q, K, V):
    """The same by one call."""
    return jax.nn.dot_product_attention(Q, K, V, key_value_seq_lengths=valid_lens)


FORMS = (explicit, fused)
steps = [jax.jit(jax.value_and_grad(lambda *args, form=form: (form(*args) ** 2).sum(), (0, 1, 2))) for form in FORMS]
(_, ours), (_, theirs) = (jax.block_until_ready(step(Q, K, V)) for step in steps)
gap = max(float(jnp.abs(one - other).max()) for one, other in zip(ours, theirs))
times = np.zeros((TURNS, len(FORMS)))
for turn in times:
    for place, step in enumerate(steps):
        start = time.process_time()
        jax.block_until_ready(step(Q, K, V))
        turn[place] = 1e3 * (time.process_time() - start)
print(f"gradients differ by {gap:.0e} at most")
for form, (low, middle, high) in zip(FORMS, np.percentile(times, (25, 50, 75), axis=0).T):
    print(f"{form.__name__:8}  {middle:5.1f} ms of CPU for value and gradients (quartiles {low:.1f} and {high:.1f})")
