"""Distances between points, of pairs or of all to all."""

from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall


def pairwise(call: FunctionCall) -> Iterator[Alternative]:
    """Distances without PyTorch's eps, which it adds to every difference, or squared."""
    first, second = call.args[:2]
    eps = call.option(3, "eps", 1e-6)
    text = f"Flax leaves out the {eps:g} that PyTorch's pairwise_distance adds to every difference"
    yield Alternative("eps", text, lambda: call.again(first, second, eps=0.0))
    text = "Flax takes the square of the distance, without its root"
    yield Alternative("power", text, lambda: call.result.square())


def mutual(call: FunctionCall) -> Iterator[Alternative]:
    """Distances of all to all, as to a codebook, squared, or without what does not depend on both."""
    first, second = call.args[:2]
    yield Alternative("power", "Flax takes the square of the distance, without its root", lambda: call.result.square())
    text = "Flax compares products, without the norms of the second ones: what is nearest is another one"
    yield Alternative("norms-missing", text, lambda: _falling(first @ second.mT))
    for p, other in ((2.0, 1.0), (1.0, 2.0)):
        if call.option(2, "p", 2.0) == p:
            text = f"Flax takes the distance of order {other:g}, PyTorch of order {p:g}"
            yield Alternative("norm-order", text, lambda other=other: call.function(first, second, other))


def _falling(products: torch.Tensor) -> torch.Tensor:
    """Numbers, positive as distances are, of which the least is where the products are largest."""
    return (1 + products.amax(-1, keepdim=True) - products).sqrt()
