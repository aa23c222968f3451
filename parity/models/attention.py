"""JAX's fused attention in float64: it takes its softmax in float32 whatever it is given.

In the float64 tier the same formula stands in for it, or the question "same mathematics?" could not be asked of
any model that uses it. In lower precisions JAX's own runs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp


@contextmanager
def exact_attention() -> Iterator[None]:
    """Computes `jax.nn.dot_product_attention` of float64 arrays in float64 within the block."""
    stock = jax.nn.dot_product_attention
    jax.nn.dot_product_attention = _exact(stock)
    try:
        yield
    finally:
        jax.nn.dot_product_attention = stock


def _exact(stock: Callable) -> Callable:
    def attention(
        query: Any,
        key: Any,
        value: Any,
        bias: Any = None,
        mask: Any = None,
        *,
        scale: float | None = None,
        is_causal: bool = False,
        implementation: Any = None,
        **options: Any,
    ) -> Any:
        plain = not any(options.values()) and query.ndim == 4 and query.shape[2] == key.shape[2]
        if query.dtype != jnp.float64 or not plain:
            return stock(query, key, value, bias, mask, scale=scale, is_causal=is_causal, **options)
        logits = jnp.einsum("BTNH,BSNH->BNTS", query, key) * (query.shape[-1] ** -0.5 if scale is None else scale)
        logits = logits if bias is None else logits + bias
        lowest = -0.7 * jnp.finfo(logits.dtype).max
        logits = logits if mask is None else jnp.where(mask, logits, lowest)
        if is_causal:
            logits = jnp.where(jnp.tril(jnp.ones(logits.shape[-2:], bool)), logits, lowest)
        return jnp.einsum("BNTS,BSNH->BTNH", jax.nn.softmax(logits, -1), value)

    return attention
