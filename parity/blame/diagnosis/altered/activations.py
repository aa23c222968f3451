"""Activations and softmaxes under other conventions."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional as F

from parity.blame.diagnosis.altered.change import Altered, changed, followed, forwarding

Function = Callable[[torch.Tensor], torch.Tensor]
ACTIVATIONS = (
    nn.GELU,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.SiLU,
    nn.Mish,
    nn.Sigmoid,
    nn.LogSigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Softsign,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Hardtanh,
    nn.PReLU,
    nn.Softshrink,
    nn.Hardshrink,
    nn.Tanhshrink,
    nn.Threshold,
)
# name, what Flax computes
FUNCTIONS: list[tuple[str, str, Function]] = [
    ("gelu-tanh", "GELU's tanh approximation (jax.nn.gelu's default)", lambda x: F.gelu(x, approximate="tanh")),
    ("gelu-erf", "GELU by the error function", F.gelu),
    ("gelu-sigmoid", "GELU's sigmoid approximation", lambda x: x * torch.sigmoid(1.702 * x)),
    ("activation-missing", "no activation", lambda x: x * 1),
    ("relu", "ReLU", F.relu),
    ("relu6", "ReLU6", F.relu6),
    ("elu", "ELU", F.elu),
    ("selu", "SELU", F.selu),
    ("silu", "SiLU, x * sigmoid(x)", F.silu),
    ("sigmoid", "the sigmoid", torch.sigmoid),
    ("log-sigmoid", "the logarithm of the sigmoid", F.logsigmoid),
    ("tanh", "the hyperbolic tangent", torch.tanh),
    ("hard-tanh", "the hard tanh", F.hardtanh),
    ("softplus", "the exact softplus, log(1 + exp(x))", lambda x: torch.logaddexp(x, torch.zeros_like(x))),
    ("softsign", "the softsign", F.softsign),
    ("mish", "Mish", F.mish),
    ("hard-swish", "the hard swish", F.hardswish),
    ("hard-sigmoid", "the hard sigmoid of slope 1/6", F.hardsigmoid),
    ("hard-sigmoid", "the hard sigmoid of slope 1/5", lambda x: torch.clamp(0.2 * x + 0.5, 0, 1)),
    ("soft-shrink", "the soft shrinkage by 0.5", F.softshrink),
    ("hard-shrink", "the hard shrinkage by 0.5", F.hardshrink),
    ("relu-squared", "the square of ReLU", lambda x: F.relu(x).square()),
    ("squareplus", "(x + sqrt(x^2 + 4)) / 2", lambda x: (x + (x * x + 4).sqrt()) / 2),
    ("lecun-tanh", "1.7159 * tanh(2/3 x)", lambda x: 1.7159 * torch.tanh(2 / 3 * x)),
    ("exponential", "the exponential", torch.exp),
    ("absolute", "the absolute value", torch.abs),
]


def slopes(module: nn.Module) -> Iterator[Altered]:
    """The same function with another constant."""
    if isinstance(module, nn.LeakyReLU):
        for slope in (0.01, 0.2, 0.3, 0.1, 0.25, 1 / 5.5):
            if slope != module.negative_slope:
                text = f"Flax's negative slope is {slope:g}, PyTorch's {module.negative_slope:g}"
                yield "leaky-slope", text, changed(module, negative_slope=slope)
    if isinstance(module, (nn.ELU, nn.CELU)):
        for alpha in (1.0, 0.1, 0.2, 0.3, 0.5, 2.0):
            if alpha != module.alpha:
                text = f"Flax's alpha is {alpha:g}, PyTorch's {module.alpha:g}"
                yield "elu-alpha", text, changed(module, alpha=alpha)
    if isinstance(module, nn.Softplus):
        for beta, threshold in ((module.beta, 1e9), (1.0, 20.0), (1.0, 1e9), (module.beta, 20.0)):
            if (beta, threshold) != (module.beta, module.threshold):
                text = f"Flax's beta is {beta:g} and it is linear above {threshold:g} / beta; "
                text += f"PyTorch's are {module.beta:g} and {module.threshold:g}"
                yield "softplus-threshold", text, changed(module, beta=beta, threshold=threshold)
    if isinstance(module, nn.PReLU):
        for slope in (0.01, 0.25, 0.2):
            text = f"Flax's slope is {slope:g} where PyTorch has learnt one"
            yield "leaky-slope", text, forwarding(module, lambda m, x, slope=slope: F.leaky_relu(x, slope))


def others(module: nn.Module) -> Iterator[Altered]:
    """Replaces the function by another."""
    if isinstance(module, ACTIVATIONS):
        pytorch_name = type(module).__name__
        if isinstance(module, nn.GELU) and module.approximate == "tanh":
            pytorch_name = "its tanh approximation"
        for name, text, function in FUNCTIONS:
            yield name, f"Flax computes {text}, PyTorch {pytorch_name}", _computing(module, function)
        for slope in (0.01, 0.2, 0.3):
            text = f"Flax computes a leaky ReLU of slope {slope:g}, PyTorch {pytorch_name}"
            yield "leaky-relu", text, _computing(module, lambda x, slope=slope: F.leaky_relu(x, slope))


def _computing(module: nn.Module, function: Function) -> nn.Module:
    return forwarding(module, lambda m, x: function(x))


def softmaxes(module: nn.Module) -> Iterator[Altered]:
    """Softmax along another axis, its logarithm or not, missing, to base 2."""
    if not isinstance(module, (nn.Softmax, nn.LogSoftmax, nn.Softmin)):
        return
    logarithm = isinstance(module, nn.LogSoftmax)
    pytorch_name = type(module).__name__
    dim = module.dim if module.dim is not None else -1
    other = F.softmax if logarithm else F.log_softmax
    name, what = ("softmax", "softmax") if logarithm else ("log-softmax", "its logarithm")
    yield name, f"Flax computes {what}, PyTorch {pytorch_name}", _computing(module, lambda x: other(x, dim))
    yield "softmax-missing", f"Flax leaves {pytorch_name} out", _computing(module, lambda x: x * 1)
    yield "softmax-twice", f"Flax applies {pytorch_name} twice", followed(module, lambda y: type(module)(dim)(y))
    text = f"Flax applies the sigmoid to each, PyTorch {pytorch_name}"
    yield "sigmoid", text, _computing(module, F.logsigmoid if logarithm else torch.sigmoid)
    if logarithm:
        yield "log-base", "Flax's logarithm is to base 2", followed(module, lambda y: y / math.log(2))
    for axis in (-1, 1, -2, 0, 2):
        if axis != dim:
            text = f"Flax's axis is {axis}, PyTorch's {dim}"
            yield "softmax-axis", text, changed(module, dim=axis)


ALTERATIONS = [slopes, others, softmaxes]
