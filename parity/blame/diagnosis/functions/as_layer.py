"""A function's call as a layer of `torch.nn`: all that may be altered in the layer may be altered in the function."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from parity.blame.diagnosis.altered import ALTERATIONS
from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

Tensors = dict[str, torch.Tensor]
Made = tuple[nn.Module, Tensors]


def as_layer(make: Callable[[FunctionCall], Made]) -> Callable[[FunctionCall], Iterator[Alternative]]:
    """Returns the alternatives of a function that some layer computes with these tensors as its parameters."""

    def alternatives(call: FunctionCall) -> Iterator[Alternative]:
        module, tensors = make(call)
        tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        for name, tensor in tensors.items():
            setattr(module, name, nn.Parameter(tensor.detach().clone(), requires_grad=tensor.is_floating_point()))
        for alteration in ALTERATIONS:
            for cause, text, altered in alteration(module.train(_training(call))):
                yield Alternative(
                    cause, text, lambda altered=altered: torch.func.functional_call(altered, tensors, (call.x,))
                )

    return alternatives


def _training(call: FunctionCall) -> bool:
    return call.name != "dropout" or bool(call.option(2, "training", True))


def plain(kind: Callable[..., nn.Module], *options: str) -> Callable[[FunctionCall], Made]:
    """Returns how to make a layer without parameters, whose options stand behind the input in this order."""

    def make(call: FunctionCall) -> Made:
        values = {name: call.option(place, name, ...) for place, name in enumerate(options, 1)}
        return kind(**{name: value for name, value in values.items() if value is not ...}), {}

    return make


def softmax(kind: Callable[..., nn.Module]) -> Callable[[FunctionCall], Made]:
    return lambda call: (kind(call.option(1, "dim", -1)), {})


def linear(call: FunctionCall) -> Made:
    weight = call.option(1, "weight")
    bias = call.option(2, "bias")
    return nn.Linear(weight.shape[1], weight.shape[0], bias is not None), {"weight": weight, "bias": bias}


def layer_norm(call: FunctionCall) -> Made:
    shape = list(call.option(1, "normalized_shape"))
    weight = call.option(2, "weight")
    bias = call.option(3, "bias")
    module = nn.LayerNorm(shape, call.option(4, "eps", 1e-5), weight is not None, bias is not None)
    return module, {"weight": weight, "bias": bias}


def rms_norm(call: FunctionCall) -> Made:
    weight = call.option(2, "weight")
    module = nn.RMSNorm(list(call.option(1, "normalized_shape")), call.option(3, "eps"), weight is not None)
    return module, {"weight": weight}


def group_norm(call: FunctionCall) -> Made:
    weight = call.option(2, "weight")
    groups = call.option(1, "num_groups")
    module = nn.GroupNorm(groups, call.x.shape[1], call.option(4, "eps", 1e-5), weight is not None)
    return module, {"weight": weight, "bias": call.option(3, "bias")}


def instance_norm(call: FunctionCall) -> Made:
    weight = call.option(3, "weight")
    kind: Any = getattr(nn, f"InstanceNorm{call.x.ndim - 2}d")
    module = kind(call.x.shape[1], call.option(7, "eps", 1e-5), affine=weight is not None)
    return module, {"weight": weight, "bias": call.option(4, "bias")}


def convolution(transposed: bool) -> Callable[[FunctionCall], Made]:
    def make(call: FunctionCall) -> Made:
        weight = call.option(1, "weight")
        axes = weight.ndim - 2
        kind: Any = getattr(nn, f"Conv{'Transpose' if transposed else ''}{axes}d")
        names = ("stride", "padding", "output_padding", "groups", "dilation")
        names = names if transposed else ("stride", "padding", "dilation", "groups")
        defaults = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
        options = {name: call.option(place, name, defaults[name]) for place, name in enumerate(names, 3)}
        options = {name: tuple(v) if isinstance(v, (list, torch.Size)) else v for name, v in options.items()}
        both = (weight.shape[0], weight.shape[1] * options["groups"])
        ins, outs = both if transposed else both[::-1]
        bias = call.option(2, "bias")
        module = kind(ins, outs, tuple(weight.shape[2:]), bias=bias is not None, **options)
        return module, {"weight": weight, "bias": bias}

    return make


def embedding(call: FunctionCall) -> Made:
    weight = call.option(1, "weight")
    return nn.Embedding(*weight.shape, padding_idx=call.option(2, "padding_idx")), {"weight": weight}


def dropout(call: FunctionCall) -> Made:
    return nn.Dropout(call.option(1, "p", 0.5)), {}


WINDOW = ("kernel_size", "stride", "padding")
MAX = (*WINDOW, "dilation", "ceil_mode")
AVERAGE = (*WINDOW, "ceil_mode", "count_include_pad")
LAYERS: dict[str, Callable[[FunctionCall], Made]] = {
    "gelu": plain(nn.GELU),
    "relu": plain(nn.ReLU),
    "relu6": plain(nn.ReLU6),
    "leaky_relu": plain(nn.LeakyReLU, "negative_slope"),
    "elu": plain(nn.ELU, "alpha"),
    "selu": plain(nn.SELU),
    "celu": plain(nn.CELU, "alpha"),
    "silu": plain(nn.SiLU),
    "mish": plain(nn.Mish),
    "sigmoid": plain(nn.Sigmoid),
    "logsigmoid": plain(nn.LogSigmoid),
    "log_sigmoid": plain(nn.LogSigmoid),
    "tanh": plain(nn.Tanh),
    "softplus": plain(nn.Softplus, "beta", "threshold"),
    "softsign": plain(nn.Softsign),
    "hardswish": plain(nn.Hardswish),
    "hardsigmoid": plain(nn.Hardsigmoid),
    "hardtanh": plain(nn.Hardtanh),
    "softshrink": plain(nn.Softshrink, "lambd"),
    "hardshrink": plain(nn.Hardshrink, "lambd"),
    "tanhshrink": plain(nn.Tanhshrink),
    "threshold": plain(nn.Threshold, "threshold", "value"),
    "softmax": softmax(nn.Softmax),
    "log_softmax": softmax(nn.LogSoftmax),
    "linear": linear,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "embedding": embedding,
    "dropout": dropout,
    **{f"conv{n}d": convolution(False) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": convolution(True) for n in (1, 2, 3)},
    **{f"max_pool{n}d": plain(getattr(nn, f"MaxPool{n}d"), *MAX) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": plain(getattr(nn, f"AvgPool{n}d"), *AVERAGE) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": plain(getattr(nn, f"AdaptiveAvgPool{n}d"), "output_size") for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": plain(getattr(nn, f"AdaptiveMaxPool{n}d"), "output_size") for n in (1, 2, 3)},
    "interpolate": plain(nn.Upsample, "size", "scale_factor", "mode", "align_corners"),
}
