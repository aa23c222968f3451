"""Attention that a model writes with functions: masks, scales and heads under other conventions."""

import itertools
import math
from collections.abc import Iterator

import torch
from torch.nn import functional as F

from parity.blame.diagnosis.functions import masks
from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

BY_HEADS = "qkv-by-heads"
MOST_PARTS = 9


def fused(call: FunctionCall) -> Iterator[Alternative]:
    """`F.scaled_dot_product_attention` with another mask or another scale."""
    query, key, value = call.args[:3]
    mask = call.option(3, "attn_mask")
    causal = bool(call.option(5, "is_causal", False))
    scale = call.kwargs.get("scale")
    size = query.shape[-1]
    now = {"attn_mask": mask, "is_causal": causal, "scale": scale, "enable_gqa": call.kwargs.get("enable_gqa", False)}

    def attention(**other: object) -> torch.Tensor:
        return F.scaled_dot_product_attention(query, key, value, **{**now, **other})  # type: ignore[arg-type]

    text = "Flax has no causal mask, PyTorch has" if causal else "Flax masks the future, PyTorch does not"
    yield Alternative("causal-mask", text, lambda: attention(is_causal=not causal))
    ones = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device)
    for by in (1, -1) if causal else ():
        text = f"Flax's causal mask is off by {by:+d}"
        yield Alternative("mask-diagonal", text, lambda by=by: attention(is_causal=False, attn_mask=ones.tril(by)))
    if mask is not None:
        yield Alternative("mask-missing", "Flax leaves out the mask", lambda: attention(attn_mask=None))
        if mask.dtype == torch.bool:
            text = "Flax reads the mask the other way round"
            yield Alternative("mask-polarity", text, lambda: attention(attn_mask=~mask))
            for cause, text, other in masks.others(mask):
                yield Alternative(cause, text, lambda other=other: attention(attn_mask=other))
    for factor, what in (
        (1.0, "does not divide the scores by the root of the head's size"),
        (1 / size, "divides the scores by the head's size, PyTorch by its root"),
        (size**-0.5, f"divides the scores by the root of the head's size, {size}"),
        ((size * query.shape[1]) ** -0.5, f"divides the scores by the root of {size * query.shape[1]}, the whole size"),
    ):
        if not math.isclose(factor, scale or size**-0.5):
            yield Alternative("attention-scale", f"Flax {what}", lambda factor=factor: attention(scale=factor))


def over_queries(call: FunctionCall) -> Iterator[Alternative]:
    """`F.scaled_dot_product_attention` with the softmax along the other axis of the scores."""
    query, key, value = call.args[:3]
    mask = call.option(3, "attn_mask")
    if call.option(5, "is_causal", False):
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
    if call.option(4, "dropout_p", 0.0) or query.shape[:-2] != key.shape[:-2]:
        return

    def weights() -> torch.Tensor:
        scores = query @ key.mT * (call.kwargs.get("scale") or query.shape[-1] ** -0.5)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
        return scores.softmax(-2)

    text = "Flax's softmax of the scores is over the queries, PyTorch's over the keys"
    yield Alternative("softmax-axis", text, lambda: weights() @ value)


def grouped(call: FunctionCall) -> Iterator[Alternative]:
    """Keys and values of fewer heads than queries, repeated in the other order."""
    query, key, value = call.args[:3]
    if call.kwargs.get("enable_gqa") and query.shape[-3] > key.shape[-3] > 1:
        times = query.shape[-3] // key.shape[-3]
        text = "Flax repeats the heads of keys and values as a whole (tile), PyTorch each of them: in another order"
        tiled = (torch.cat([x] * times, -3) for x in (key, value))
        yield Alternative("repeat-order", text, lambda: call.again(query, *tiled, enable_gqa=False))


def multi_head(call: FunctionCall) -> Iterator[Alternative]:
    """PyTorch's multi-head attention without a mask that it is given, or with one that it is not."""
    mask = call.kwargs.get("attn_mask")
    padding = call.kwargs.get("key_padding_mask")

    def masking(future: torch.Tensor) -> torch.Tensor:
        """Returns the mask as one that is added where that of the padding is."""
        kind = padding.dtype if padding is not None else torch.bool
        return future if kind == torch.bool else torch.zeros(future.shape, dtype=kind).masked_fill(future, -math.inf)

    if mask is not None:
        causal = mask.ndim >= 2 and _is_causal(mask if mask.dtype == torch.bool else mask < 0)
        cause, what = ("causal-mask", "causal ") if causal else ("mask-missing", "")
        text = f"Flax has no {what}mask, PyTorch has"
        yield Alternative(cause, text, lambda: call.again(attn_mask=None, is_causal=False))
        text = "Flax reads the mask the other way round (true is masked in PyTorch, seen in Flax)"
        yield Alternative("mask-polarity", text, lambda: call.again(attn_mask=_inverted(mask), is_causal=False))
        for by in (1, -1) if causal else ():
            future = torch.ones(mask.shape[-2:], dtype=torch.bool).triu(1 + by)
            text = f"Flax's causal mask is off by {by:+d}"
            yield Alternative("mask-diagonal", text, lambda m=future: call.again(attn_mask=masking(m), is_causal=False))
    else:
        length = call.x.shape[0], call.args[1].shape[0]
        future = torch.ones(length, dtype=torch.bool).triu(1)
        text = "Flax masks the future, PyTorch does not"
        yield Alternative("causal-mask", text, lambda: call.again(attn_mask=masking(future), is_causal=False))
    if padding is not None:
        text = "Flax reads key_padding_mask the other way round (true is masked in PyTorch, seen in Flax)"
        yield Alternative("mask-polarity", text, lambda: call.again(key_padding_mask=_inverted(padding)))
        text = "Flax leaves out key_padding_mask"
        yield Alternative("mask-missing", text, lambda: call.again(key_padding_mask=None))


def _inverted(mask: torch.Tensor) -> torch.Tensor:
    """Returns the opposite mask; what is added is finite, so that a row without any key has equal weights."""
    if mask.dtype == torch.bool:
        return ~mask
    return torch.zeros_like(mask).masked_fill(mask >= 0, torch.finfo(mask.dtype).min / 4)


def comparisons(call: FunctionCall) -> Iterator[Alternative]:
    """A mask that is true everywhere, nowhere, or the other way round."""
    if isinstance(call.result, torch.Tensor) and call.result.dtype == torch.bool and call.result.ndim:
        everywhere = torch.ones_like(call.result)
        yield Alternative("mask-missing", "Flax has no mask: true everywhere", lambda: everywhere)
        yield Alternative("mask-missing", "Flax has no mask: true nowhere", lambda: ~everywhere)
        yield Alternative("mask-polarity", "Flax has the mask the other way round", lambda: ~call.result)


def triangle(call: FunctionCall) -> Iterator[Alternative]:
    """No mask of the future, or one that is off by one."""
    x = call.x
    everything = torch.zeros_like(x) if call.name == "triu" else x * 1
    yield Alternative("causal-mask", "Flax has no causal mask", lambda: everything)
    diagonal = call.option(1, "diagonal", 0)
    for by in (1, -1):
        text = f"Flax's causal mask is off by {by:+d}"
        yield Alternative("mask-diagonal", text, lambda by=by: getattr(torch, call.name)(x, diagonal + by))


def masked(call: FunctionCall) -> Iterator[Alternative]:
    """A mask left out, turned round, or another value in its places."""
    x, mask, value = (*call.args, *call.kwargs.values())[:3]
    if not isinstance(mask, torch.Tensor):
        return
    square = mask.ndim >= 2 and mask.shape[-1] == mask.shape[-2] > 1
    cause, what = ("causal-mask", "causal ") if square and _is_causal(mask) else ("mask-missing", "")
    yield Alternative(cause, f"Flax has no {what}mask", lambda: x * 1)
    yield Alternative("mask-polarity", "Flax reads the mask the other way round", lambda: x.masked_fill(~mask, value))
    for kind, text, seen in masks.others(~mask):
        yield Alternative(kind, text, lambda seen=seen: x.masked_fill(~seen, value))
    for other in (-1e9, -1e4, float("-inf"), -1e10, 0.0, -1e30):
        if other != value:
            text = f"Flax writes {other:g} in masked places, PyTorch {float(value):g}"
            yield Alternative("mask-value", text, lambda other=other: x.masked_fill(mask, other))


def _is_causal(mask: torch.Tensor) -> bool:
    last = mask.reshape(-1, *mask.shape[-2:])[0].bool()
    future = torch.ones_like(last).triu(1)
    return bool(torch.equal(last, future) or torch.equal(last, ~future))


def chosen(call: FunctionCall) -> Iterator[Alternative]:
    """`torch.where` the other way round, or one branch alone."""
    if len(call.args) < 3:
        return
    condition, first, second = call.args[:3]
    square = condition.ndim >= 2 and condition.shape[-1] == condition.shape[-2] > 1
    cause = "causal-mask" if square and _is_causal(condition) else "mask-missing"
    for branch, which in ((first, "first"), (second, "second")):
        if isinstance(branch, torch.Tensor) and branch.shape == call.result.shape:
            text = "Flax has no causal mask" if cause == "causal-mask" else f"Flax has the {which} branch everywhere"
            yield Alternative(cause, text, lambda branch=branch: branch * 1)
    for kind, text, other in masks.others(condition) if condition.dtype == torch.bool else ():
        yield Alternative(kind, text, lambda other=other: torch.where(other, first, second))
    text = "Flax reads the condition the other way round"
    yield Alternative("mask-polarity", text, lambda: torch.where(condition, second, first))


def parts(call: FunctionCall) -> Iterator[Alternative]:
    """Query, key and value, or gates, in another order; of more, two exchanged, or groups of three alike."""
    if not isinstance(call.result, tuple | list) or not 1 < len(call.result) <= MOST_PARTS:
        return
    if len({part.shape for part in call.result}) > 1:
        return
    for text, order in _orders(len(call.result)):
        yield Alternative("projection-order", text, lambda order=order: tuple(call.result[i] for i in order))


def _orders(count: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    whole = tuple(range(count))
    if count < 5:
        orders = (order for order in itertools.permutations(whole) if order != whole)
        yield from ((f"Flax takes the {count} parts in the order {order}", order) for order in orders)
        return
    for one, other in itertools.combinations(whole, 2):
        order = tuple(other if at == one else one if at == other else at for at in whole)
        yield f"Flax exchanges the parts {one} and {other} of {count}, counted from 0", order
    for order in list(itertools.permutations(range(3)))[1:] if count % 3 == 0 else ():
        text = f"Flax takes the {count} parts in the order {order} of every three"
        yield text, tuple(at - at % 3 + order[at % 3] for at in whole)


def by_heads(call: FunctionCall) -> Iterator[Alternative]:
    """Query, key and value side by side within each head, of a projection that PyTorch splits as a whole."""
    parts = call.result
    if not isinstance(parts, tuple | list) or len(parts) != 3 or call.x.shape[-1] != 3 * parts[0].shape[-1]:
        return
    size = parts[0].shape[-1]
    for heads in (n for n in range(2, size) if size % n == 0):
        text = f"Flax splits (heads, 3, size) of a joint projection, PyTorch (3, heads, size), of {heads} heads"
        each = (heads, 3, size // heads)
        yield Alternative(
            BY_HEADS, text, lambda e=each: tuple(x.flatten(-2) for x in call.x.unflatten(-1, e).unbind(-2))
        )
