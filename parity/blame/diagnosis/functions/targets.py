"""What a loss compares with what, and how it takes its mean: tensors exchanged, another target, means of means."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall
from parity.blame.diagnosis.functions.layout import SHAPING

MOST_OTHERS = 12
PRODUCTS = ("mul", "rmul")
FLAT = (*SHAPING, "flatten")


def exchanged(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a * y + b * x where PyTorch has a * x + b * y: a mixture, a target of noise and data, or two losses."""
    shape = call.result.shape
    terms = call.args[:2]
    products = [x if x is not None and x.name in PRODUCTS else None for x in map(call.behind, terms)]
    if len(terms) < 2 or not any(products) or "rsub" in call.name:
        return
    (a, x), (b, y) = [_factors(made, shape) if made else (1, term) for made, term in zip(products, terms)]
    if not all(isinstance(tensor, torch.Tensor) and tensor.shape == shape for tensor in (x, y)) or x is y:
        return
    if _whole(a, b):  # `complements` exchanges weights that add up to 1
        return
    sign = -1 if "sub" in call.name else 1
    text = "Flax exchanges the two tensors that PyTorch adds in shares: the first has the second's share"
    text = f"{text}, the second the first's" if sign > 0 else f"{text}, and is subtracted"
    yield Alternative("shares-exchanged", text, lambda: a * y + sign * b * x)


def _whole(*shares: Any) -> bool:
    numbers = [x for x in shares if isinstance(x, float | int)]
    return len(numbers) == len(shares) and abs(sum(numbers) - 1) < 1e-12


def _factors(term: FunctionCall, shape: torch.Size) -> tuple[Any, Any]:
    """Returns the share and the tensor of a product; no tensor where neither factor is the smaller."""
    first, second = term.args[:2]
    for share, tensor in ((first, second), (second, first)):
        whole = isinstance(tensor, torch.Tensor) and tensor.shape == shape
        if whole and (not isinstance(share, torch.Tensor) or share.numel() < tensor.numel()):
            return share, tensor
    return None, None


def others(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the loss of another target: a tensor that earlier products and sums are made of, as the noise for v."""
    target = call.option(1, "target")
    if not isinstance(target, torch.Tensor) or call.x.shape != target.shape:
        return
    made = call.behind(target)
    for number, other in enumerate(itertools.islice(_behind(made), MOST_OTHERS) if made else (), 1):
        if other.shape == target.shape and other is not target:
            source = call.behind(other)
            what = f"what {source.name} gives" if source else "one that is given"
            text = f"Flax's target is number {number} of the tensors of which PyTorch makes its own: {what}"
            rest = {name: value for name, value in call.kwargs.items() if name not in ("input", "target")}
            yield Alternative(
                "target", text, lambda other=other, rest=rest: call.function(call.x, other, *call.args[2:], **rest)
            )


def _behind(made: FunctionCall) -> Iterator[torch.Tensor]:
    """Yields the tensors that a result is made of by products and sums, the nearest first."""
    waiting, seen = [made], {id(made)}
    while waiting:
        call = waiting.pop(0)
        for x in (x for x in call.args[:2] if isinstance(x, torch.Tensor) and x.is_floating_point()):
            earlier = call.behind(x)
            if earlier and earlier.name in (*PRODUCTS, "add", "sub"):
                waiting += [earlier] if id(earlier) not in seen else []
                seen.add(id(earlier))
            elif x.ndim:
                yield x


def means(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the mean of every row's mean where PyTorch divides sums over all places."""
    above, below = (call.behind(x) for x in (*call.args[:2], None)[:2])
    below = call.behind(below.x) if below and below.name == "clamp" else below
    if not above or not below or above.name != "sum" or below.name != "sum":
        return
    weighed, weights = above.x, below.x
    if weighed.shape != weights.shape:
        return
    shape = None if call.result.ndim else _rows(call, weights)
    if shape:
        text = "Flax takes the mean of each row's mean, PyTorch that over all places that count"
        rows = [x.reshape(shape).flatten(1).sum(1) for x in (weighed, weights)]
        yield Alternative("mean-of-means", text, lambda: (rows[0] / rows[1]).mean())


def _rows(call: FunctionCall, x: torch.Tensor) -> torch.Size | None:
    """Returns the shape with rows, of a tensor that was flattened, too."""
    made = call.behind(x)
    while x.ndim == 1 and made and made.name in FLAT:
        x, made = made.x, call.behind(made.x)
    return x.shape if x.ndim > 1 else None


def rows_of_classes(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the mean of every row's cross-entropy, where PyTorch's mean is over all targets that are not ignored."""
    y = call.option(1, "target")
    plain = call.option(2, "weight") is None and not y.is_floating_point()
    shape = _rows(call, y)
    if not plain or not shape or call.option(6, "reduction", "mean") != "mean":
        return
    counted = (y != call.option(4, "ignore_index", -100)).reshape(shape).flatten(1).sum(1)
    if len(set(counted.tolist())) > 1 and bool(counted.all()):
        text = "Flax takes the mean of each row's mean, PyTorch that over all targets that count"
        each = lambda: call.again(*call.args[:6], reduction="none").reshape(shape).flatten(1).sum(1)  # noqa: E731
        yield Alternative("mean-of-means", text, lambda: (each() / counted).mean())


def positives(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the weight of positives turned over, of the negatives, or of both."""
    weight = call.kwargs.get("pos_weight")
    x, y = call.x, call.option(1, "target")
    if not isinstance(weight, torch.Tensor) or not weight.all():
        return
    for text, other in (
        ("Flax's pos_weight is the reciprocal of PyTorch's", lambda: call.again(pos_weight=1 / weight)),
        ("Flax weighs the negatives by it, PyTorch the positives", lambda: call.again(-x, 1 - y)),
        (
            "Flax weighs positives and negatives by it, PyTorch the positives alone",
            lambda: call.again(pos_weight=None, weight=weight),
        ),
    ):
        yield Alternative("pos-weight", text, other)
