"""Sums and products that are right by themselves, of other tensors than in PyTorch."""

import itertools
from collections.abc import Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall
from parity.blame.diagnosis.functions.layout import SHAPING, TURNING
from parity.blame.diagnosis.functions.scaled_sums import MATRICES, OVER_SUM

ACTIVATIONS = ("silu", "gelu", "relu", "sigmoid", "tanh", "softplus", "mish", "elu")
REMEMBERED = (  # earlier calls that later ones are of
    *(*ACTIVATIONS, "topk", "masked_fill", "where", "pack_padded_sequence"),
    *("mul", "rmul", "add", "sub", "sum", "exp", "expm1", "einsum", "flatten", "clamp"),
    *(*TURNING, *SHAPING),
    *("fft_rfft", "fft_fft", "detach", "sigmoid", "radd", "rsub", "outer", "rdiv", "rtruediv"),
    *("cat", "linear", *MATRICES, "chunk", "split", "unbind", "getitem"),
    *("norm", "linalg_norm", "linalg_vector_norm", "sqrt"),
)
WIRING = "wiring"
MOST_OTHERS = 12


def terms(call: FunctionCall) -> Iterator[Alternative]:
    """Yields sums in which another tensor of the model takes the place of a term, or one term twice of both."""
    if len(call.args) < 2 or not all(isinstance(term, torch.Tensor) for term in call.args[:2]):
        return
    first, second = call.args[:2]
    if call.result.ndim < 2 and first.shape == second.shape == call.result.shape:
        return
    for other, factor, axis, which in _scaled(call):
        if other.shape == call.result.shape and getattr(call.behind(other), "name", "") != "mul":
            text = f"Flax scales the whole sum along axis {axis}, PyTorch its {which} term"
            scaled = lambda other=other, factor=factor: call.result + other * (factor - 1)  # noqa: E731
            yield Alternative(OVER_SUM, text, scaled)
    for words, other in itertools.islice(call.passed.of_shape(call.result.shape), MOST_OTHERS):
        for kept, replaced, which in ((first, second, "second"), (second, first, "first")):
            if kept.shape == other.shape and other is not replaced:
                text = f"Flax adds {words}, PyTorch something else, as the {which} term of a sum"
                yield Alternative(WIRING, text, lambda kept=kept, other=other: kept + other)


def _scaled(call: FunctionCall) -> Iterator[tuple[torch.Tensor, torch.Tensor, int, str]]:
    """Yields the other term of a sum with the factor of the latest product, along each axis that it may be of."""
    product = call.last("mul")
    first, second = call.args[:2]
    if product is None:
        return
    factors = [x for x in product.args[:2] if isinstance(x, torch.Tensor) and x.numel() < call.result.numel()]
    for factor in factors:
        for axis in (axis for axis in range(call.result.ndim) if call.result.shape[axis] == factor.numel()):
            shape = [1] * call.result.ndim
            shape[axis] = -1
            for other, which in ((first, "second"), (second, "first")):
                yield other, factor.reshape(shape), axis, which


def gated(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a gate whose activation is of the other factor."""
    if len(call.args) < 2:
        return
    for gate, other in (call.args[:2], call.args[1::-1]):
        made = call.behind(gate)
        if made and made.name in ACTIVATIONS and isinstance(other, torch.Tensor) and made.x.shape == other.shape:
            text = f"Flax takes {made.name} of the other factor of a gate"
            yield Alternative("gate-exchanged", text, lambda m=made, other=other: m.function(other) * m.x)
    first, second = call.args[:2]
    shape = call.result.shape
    if not all(isinstance(factor, torch.Tensor) for factor in (first, second)):
        return
    whole = first.shape == second.shape == shape
    others = itertools.islice(call.passed.of_shape(shape), MOST_OTHERS) if whole else call.passed.given_now(shape)
    for words, other in others:
        for kept, replaced, which in ((first, second, "second"), (second, first, "first")):
            if other is not replaced and replaced.shape == shape:
                text = f"Flax multiplies by {words}, PyTorch by something else, the {which} factor of a product"
                yield Alternative(WIRING, text, lambda kept=kept, other=other: kept * other)


def averaged(call: FunctionCall) -> Iterator[Alternative]:
    """Yields one of two numbers, of which PyTorch takes the mean."""
    added = call.behind(call.x)
    half = len(call.args) > 1 and call.args[1] == (2 if "div" in call.name else 0.5)
    if call.result.ndim < 2 and half and added and added.name == "add":
        for term, which in zip(added.args[:2], ("first", "second")):
            text = f"Flax takes the {which} of two numbers, of which PyTorch takes the mean"
            yield Alternative("one-of-two", text, lambda term=term: term * 1)


def halves(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a gated linear unit whose halves are exchanged."""
    first, second = call.x.chunk(2, call.option(1, "dim", -1))
    text = "Flax takes the first half of the features as the gate, PyTorch's glu the second"
    yield Alternative("gate-exchanged", text, lambda: second * first.sigmoid())


def counted(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a sum divided by the length of its axis, where PyTorch divides by what is not masked."""
    summed = call.behind(call.x)
    divisor = call.args[1] if len(call.args) > 1 else None
    if not summed or summed.name != "sum" or not isinstance(divisor, torch.Tensor):
        return
    axes = summed.option(1, "dim")
    if isinstance(axes, int):
        length = summed.x.shape[axes]
        text = f"Flax divides a sum by its {length} places, PyTorch by a number of each example: padding is counted"
        yield Alternative("padding-counted", text, lambda: call.x / length)


def powers(call: FunctionCall) -> Iterator[Alternative]:
    """Yields no power, or another: one less, its square or its root, the reciprocal."""
    power = call.option(1, "exponent")
    if isinstance(power, int | float) and power != 1:
        text = f"Flax leaves out the power of {power:g}"
        yield Alternative("power-missing", text, lambda: call.x * 1)
        for other in (power - 1, 2 * power, power / 2, -power):
            text = f"Flax takes the power of {other:g}, PyTorch {power:g}"
            yield Alternative("power", text, lambda other=other: call.x**other)
