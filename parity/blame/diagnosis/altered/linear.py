"""Linear and bilinear layers under other conventions, and what every layer with a bias shares."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from parity.blame.diagnosis.altered.change import Altered, reweighted
from parity.blame.diagnosis.order import orders_of

WITH_BIAS = (nn.Linear, nn.Bilinear, _ConvNd)


def biases(module: nn.Module) -> Iterator[Altered]:
    """The bias left out, added twice or subtracted."""
    if not isinstance(module, WITH_BIAS) or module.bias is None:
        return
    yield "bias-missing", "Flax leaves out the bias", reweighted(module, bias=torch.zeros_like)
    yield "bias-doubled", "Flax adds the bias twice", reweighted(module, bias=lambda b: 2 * b)
    yield "bias-sign", "Flax subtracts the bias", reweighted(module, bias=torch.neg)


def transposed(module: nn.Module) -> Iterator[Altered]:
    """The weight transposed."""
    if isinstance(module, nn.Linear) and module.in_features == module.out_features:
        text = "Flax multiplies by the transposed weight: a kernel is (in, out), PyTorch's weight (out, in)"
        yield "transposed", text, reweighted(module, weight=torch.t)


def input_order(module: nn.Module) -> Iterator[Altered]:
    """Columns that meet features flattened in another order."""
    if not isinstance(module, nn.Linear):
        return
    for factors, order in orders_of(module.in_features):
        index = torch.arange(module.in_features).reshape(factors).permute(order).reshape(-1)
        text = f"Flax's features are flattened from {tuple(factors[i] for i in order)}, PyTorch's from {factors}"
        yield "flatten-order", text, reweighted(module, weight=lambda w, index=index: w[:, index])


def scales(module: nn.Module) -> Iterator[Altered]:
    """The weight times a function of its size, as for an equalised learning rate."""
    if isinstance(module, nn.Linear):
        n = module.in_features
        for factor, name in ((n**0.5, "the root of the fan-in"), (n**-0.5, "one over the root of the fan-in")):
            text = f"Flax multiplies the weight by {name}, {factor:.4g}"
            yield "weight-scale", text, reweighted(module, weight=lambda w, factor=factor: w * factor)


ALTERATIONS = [biases, transposed, input_order, scales]
