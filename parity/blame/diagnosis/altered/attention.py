"""Multi-head attention under other conventions. PyTorch's in-projection holds query, key and value below each other."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis.altered.change import Altered, changed, followed, forwarding, reweighted


def scales(module: Any) -> Iterator[Altered]:
    """Other factors of the scores."""
    if not _packed(module):
        return
    d = module.head_dim
    e = module.embed_dim
    for factor, text in (
        (math.sqrt(d), "Flax does not divide the scores by the root of the head's size"),
        (math.sqrt(d / e), f"Flax divides the scores by the root of {e}, the whole size, PyTorch by that of {d}"),
        (1 / math.sqrt(d), "Flax divides the scores by the head's size, PyTorch by its root"),
    ):
        yield "attention-scale", text, _projecting(module, _on_query(e, factor))


def _on_query(size: int, factor: float) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda w: torch.cat([w[:size] * factor, w[size:]])


def projection_order(module: Any) -> Iterator[Altered]:
    """Query, key and value in another order."""
    if not _packed(module):
        return
    size = module.embed_dim
    for order in itertools.permutations(range(3)):
        if order != (0, 1, 2):
            index = torch.cat([torch.arange(i * size, (i + 1) * size) for i in order])
            shown = ", ".join(("query", "key", "value")[i] for i in order)
            text = f"Flax takes the in-projection's blocks in the order {shown}"
            yield "projection-order", text, _projecting(module, lambda w, index=index: w[index])


def heads(module: Any) -> Iterator[Altered]:
    """Heads as (heads, size) or (size, heads) within each projection, with or without the output's columns."""
    if not _packed(module) or module.num_heads == 1:
        return
    e = module.embed_dim
    h = module.num_heads
    for first in dict.fromkeys((h, e // h)):
        order = torch.arange(e).reshape(first, -1).T.reshape(-1)
        index = torch.cat([order + i * e for i in range(3)])
        text = "Flax's heads are interleaved, PyTorch's are contiguous blocks"
        yield "heads-interleaved", text, _projecting(module, lambda w, index=index: w[index])
        yield "heads-interleaved", text + "; and so are the output's columns", _mixed(module, index, order)
    text = "Flax does not bring the heads together as (heads, size) for the out-projection"
    for first in dict.fromkeys((h, e // h)):
        order = torch.arange(e).reshape(first, -1).T.reshape(-1)
        yield "heads-interleaved", text, reweighted(module, **{"out_proj.weight": lambda w, order=order: w[:, order]})


def _mixed(module: nn.Module, index: torch.Tensor, order: torch.Tensor) -> nn.Module:
    functions = {"in_proj_weight": lambda w: w[index], "out_proj.weight": lambda w: w[:, order]}
    if module.in_proj_bias is not None:
        functions["in_proj_bias"] = lambda w: w[index]
    return reweighted(module, **functions)


def head_count(module: Any) -> Iterator[Altered]:
    """A different number of heads."""
    if not _packed(module):
        return
    for count in range(1, module.embed_dim + 1):
        if module.embed_dim % count == 0 and count != module.num_heads:
            text = f"Flax has {count} heads, PyTorch {module.num_heads}"
            yield "head-count", text, changed(module, num_heads=count, head_dim=module.embed_dim // count)


def biases(module: Any) -> Iterator[Altered]:
    """Biases left out."""
    if not isinstance(module, nn.MultiheadAttention) or module.in_proj_bias is None:
        return
    text = "Flax leaves out the out-projection's bias"
    yield "out-bias-missing", text, reweighted(module, **{"out_proj.bias": torch.zeros_like})
    text = "Flax leaves out the biases of query, key and value"
    yield "in-bias-missing", text, reweighted(module, in_proj_bias=torch.zeros_like)
    both = reweighted(module, **{"in_proj_bias": torch.zeros_like, "out_proj.bias": torch.zeros_like})
    yield "bias-missing", "Flax leaves out all biases", both


def masks(module: Any) -> Iterator[Altered]:
    """Masks of the other polarity, or none: True is "ignore" in PyTorch and "keep" in Flax."""
    if not isinstance(module, nn.MultiheadAttention):
        return
    text = "Flax reads the mask the other way round: True is ignore in PyTorch and keep in Flax"
    yield "mask-polarity", text, forwarding(module, _inverting)
    for name in ("attn_mask", "key_padding_mask"):
        yield (
            "mask-missing",
            f"Flax leaves out {name}",
            forwarding(
                module, lambda m, *args, name=name, **kwargs: type(m).forward(m, *args, **kwargs | {name: None})
            ),
        )
    yield "causal-mask", "Flax masks the future, PyTorch does not", forwarding(module, _causal)


def _inverting(m: nn.Module, *args: Any, **kwargs: Any) -> Any:
    for name in ("attn_mask", "key_padding_mask"):
        mask = kwargs.get(name)
        if isinstance(mask, torch.Tensor) and mask.dtype == torch.bool:
            kwargs[name] = ~mask
    return type(m).forward(m, *args, **kwargs)


def _causal(m: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **kwargs: Any) -> Any:
    axis = -2 if m.batch_first or query.ndim == 2 else 0
    mask = torch.ones(query.shape[axis], key.shape[axis], dtype=torch.bool).triu(1)
    return type(m).forward(m, query, key, value, **kwargs | {"attn_mask": mask})


def layout(module: Any) -> Iterator[Altered]:
    """Batch and time exchanged, or other weights returned."""
    if not isinstance(module, nn.MultiheadAttention):
        return
    text = "Flax reads batch and time in the opposite order"
    yield "batch-first", text, changed(module, batch_first=not module.batch_first)
    text = "Flax gives the weights of each head, PyTorch their average"
    each = forwarding(module, lambda m, *a, **k: type(m).forward(m, *a, **k | {"average_attn_weights": False}))
    yield "weights-per-head", text, each
    text = "Flax exchanges key and value"
    yield "key-value", text, forwarding(module, lambda m, q, k, v, **more: type(m).forward(m, q, v, k, **more))
    text = "Flax transposes the attention weights"
    yield "weights-transposed", text, followed(module, lambda y: (y[0], y[1].transpose(-1, -2)))
    if _packed(module):
        e = module.embed_dim
        text = "Flax transposes the out-projection"
        yield "transposed", text, reweighted(module, **{"out_proj.weight": torch.t})
        text = "Flax transposes the weights of query, key and value"
        turned = reweighted(module, in_proj_weight=lambda w: w.reshape(3, e, e).transpose(1, 2).reshape(3 * e, e))
        yield "transposed", text, turned


def over_queries(module: Any) -> Iterator[Altered]:
    """A softmax along the other axis of the scores."""
    if _packed(module) and module.bias_k is None and not module.add_zero_attn:
        text = "Flax's softmax of the scores is over the queries, PyTorch's over the keys"
        yield "softmax-axis", text, forwarding(module, _over_queries)


def _over_queries(
    m: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    key_padding_mask: torch.Tensor | None = None,
    need_weights: bool = True,
    attn_mask: torch.Tensor | None = None,
    average_attn_weights: bool = True,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    inputs = [x if m.batch_first else x.transpose(0, 1) for x in (query, key, value)]
    biases = (None,) * 3 if m.in_proj_bias is None else m.in_proj_bias.chunk(3)
    projected = [F.linear(*each) for each in zip(inputs, m.in_proj_weight.chunk(3), biases)]
    q, k, v = (x.unflatten(-1, (m.num_heads, m.head_dim)).transpose(1, 2) for x in projected)
    scores = q @ k.mT / math.sqrt(m.head_dim)
    if attn_mask is not None and attn_mask.ndim == 3:
        attn_mask = attn_mask.unflatten(0, (-1, m.num_heads))
    padding = None if key_padding_mask is None else key_padding_mask[:, None, None]
    for mask in (x for x in (attn_mask, padding) if x is not None):
        scores = scores.masked_fill(mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    weights = F.dropout(scores.softmax(-2), m.dropout, m.training)
    y = m.out_proj((weights @ v).transpose(1, 2).flatten(2))
    shown = weights.mean(1) if average_attn_weights else weights
    return y if m.batch_first else y.transpose(0, 1), shown if need_weights else None


def _packed(module: nn.Module) -> bool:
    return isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None


def _projecting(module: nn.Module, function: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    names = ["in_proj_weight", *(["in_proj_bias"] if module.in_proj_bias is not None else [])]
    return reweighted(module, **dict.fromkeys(names, function))


ALTERATIONS = [scales, projection_order, heads, head_count, biases, masks, layout, over_queries]
