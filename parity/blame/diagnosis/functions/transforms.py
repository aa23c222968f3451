"""Fourier transforms left out, of another scale, or along another axis."""

from collections.abc import Iterator

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
    axis = call.option(2, "dim", -1)
    for other in range(call.x.ndim) if isinstance(axis, int) and not call.name.endswith("2") else ():
        if other != axis % call.x.ndim:
            text = f"Flax's {call.name} is along axis {other}, PyTorch's along {axis % call.x.ndim}"
            yield Alternative("transform-axis", text, lambda other=other: _again(call, dim=other))


def _again(call: FunctionCall, **changed: object) -> object:
    """Returns the transform with other options, whether they were given by place or by name."""
    given = dict(zip(("n" if not call.name.endswith("2") else "s", "dim", "norm"), call.args[1:], strict=False))
    return call.function(call.x, **{**given, **call.kwargs, **changed})
