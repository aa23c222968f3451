"""Attention that leaves out the first or the last of its keys, as a class token, or what was put beside the others."""

import math
from collections.abc import Iterator

import torch
from torch.nn import functional as F

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "keys-left-out"
MOST = 4  # places where keys may have been put together


def of_scores(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a softmax of scores without some of the keys, which stand along the last axis."""
    scores = call.x
    last = call.option(1, "dim") in (-1, scores.ndim - 1)
    for text, seen in _seen(call, scores.shape[-1]) if last and scores.ndim > 2 else ():
        yield Alternative(CAUSE, text, lambda seen=seen: call.again(scores.masked_fill(~seen, -math.inf)))


def of_attention(call: FunctionCall) -> Iterator[Alternative]:
    """Yields attention of one function without some of the keys."""
    mask = call.option(3, "attn_mask")
    if call.option(5, "is_causal", False) or (mask is not None and mask.dtype != torch.bool):
        return
    query, key, value = call.args[:3]
    options = {name: call.kwargs[name] for name in ("scale", "enable_gqa") if name in call.kwargs}
    for text, seen in _seen(call, key.shape[-2]):
        both = seen if mask is None else mask & seen
        yield Alternative(
            CAUSE, text, lambda m=both: F.scaled_dot_product_attention(query, key, value, attn_mask=m, **options)
        )


def _seen(call: FunctionCall, count: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields which keys are left, in words: without the first or last one, or a part that was concatenated."""
    bounds = {1: None, count - 1: None}
    joined = (earlier for earlier in call.earlier.calls if earlier.name in ("cat", "concat", "concatenate"))
    for earlier in joined:
        parts = earlier.x
        axis = earlier.option(1, "dim", 0)
        if isinstance(parts, tuple | list) and earlier.result.shape[axis] == count and len(parts) == 2:
            bounds[parts[0].shape[axis]] = None
    for bound in [bound for bound in bounds if 0 < bound < count][: MOST + 2]:
        places = torch.arange(count)
        yield f"Flax's attention leaves out the first {_keys(bound, count)}", places >= bound
        yield f"Flax's attention leaves out the last {_keys(count - bound, count)}", places < bound


def _keys(left_out: int, count: int) -> str:
    return f"of {count} keys" if left_out == 1 else f"{left_out} of {count} keys"
