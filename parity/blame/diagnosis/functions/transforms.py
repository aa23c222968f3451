"""Fourier transforms left out, of another scale, along another axis, or too short for what they convolve."""

from collections.abc import Iterator

import torch
from torch.nn import functional as F

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

NAMES = tuple(f"fft_{kind}" for kind in ("fft", "ifft", "rfft", "irfft", "fft2", "ifft2", "rfft2", "irfft2"))
NORMS = ("backward", "ortho", "forward")


def transforms(call: FunctionCall) -> Iterator[Alternative]:
    """Yields what a transform may be in Flax."""
    if call.x.shape == call.result.shape:
        yield Alternative("transform-missing", f"Flax leaves out {call.name}", lambda: call.x + 0 * call.result)
    norm = call.option(3, "norm") or "backward"
    for other in NORMS:
        if other != norm:
            text = f"Flax's {call.name} is scaled as norm='{other}', PyTorch's as '{norm}'"
            yield Alternative("transform-norm", text, lambda other=other: _again(call, norm=other))
    yield from _of_its_length(call)
    axis = call.option(2, "dim", -1)
    for other in range(call.x.ndim) if isinstance(axis, int) and not call.name.endswith("2") else ():
        if other != axis % call.x.ndim:
            text = f"Flax's {call.name} is along axis {other}, PyTorch's along {axis % call.x.ndim}"
            yield Alternative("transform-axis", text, lambda other=other: _again(call, dim=other))


def _of_its_length(call: FunctionCall) -> Iterator[Alternative]:
    """Yields the transform of a sequence as long as it is, where PyTorch pads or crops it to another length."""
    length = call.option(1, "n")
    now = call.x.shape[_from_the_end(call)]
    if isinstance(length, int) and call.name in ("fft_fft", "fft_rfft", "fft_ifft") and length != now:
        text = f"Flax's {call.name} is of length {now}, PyTorch's of n={length}"
        yield Alternative("transform-length", text, lambda: _again(call, n=None))


def _from_the_end(call: FunctionCall) -> int:
    axis = call.option(2, "dim", -1)
    return axis if axis < 0 else axis - call.x.ndim


def convolved(call: FunctionCall) -> Iterator[Alternative]:
    """Yields a convolution without the zeros that keep a sequence's end from its beginning, or with them."""
    product = call.behind(call.x)
    forward = {"fft_irfft": "fft_rfft", "fft_ifft": "fft_fft"}.get(call.name)
    if product is None or product.name not in ("mul", "rmul") or forward is None:
        return
    made = [call.behind(x) for x in product.args[:2]]
    if any(each is None or each.name != forward for each in made):
        return
    axis = _from_the_end(call)
    lengths = {each.x.shape[axis] for each in made if each}
    now = call.result.shape[axis]
    if len(lengths) > 1 or {_from_the_end(each) for each in made if each} != {axis}:
        return
    length = lengths.pop()
    other = length if now > length else 2 * length
    text = "Flax's convolution by Fourier transforms {}, PyTorch's {}"
    ways = "is circular: no zeros behind the sequence", "is not: it has zeros behind the sequence"
    text = text.format(*(ways if now > length else ways[::-1]))

    def again() -> torch.Tensor:
        parts = [each.function(each.x, n=other, dim=axis) for each in made if each]
        y = call.function(product.function(*parts), n=other, dim=axis)
        return F.pad(y, (*(0, 0) * (-1 - axis), 0, now - other))  # crops, too

    yield Alternative("circular-convolution", text, again)


def _again(call: FunctionCall, **changed: object) -> object:
    """Returns the transform with other options, whether they were given by place or by name."""
    given = dict(zip(("n" if not call.name.endswith("2") else "s", "dim", "norm"), call.args[1:], strict=False))
    return call.function(call.x, **{**given, **call.kwargs, **changed})
