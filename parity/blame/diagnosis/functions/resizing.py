"""JAX's resizing: weights of a kernel at half-pixel centres, normalised at the border, wider where it antialiases."""

from collections.abc import Callable, Iterator

import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall


def _linear(x: torch.Tensor) -> torch.Tensor:
    return (1 - x.abs()).clamp(min=0)


def _keys(a: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """The cubic kernel of Keys (1981): a = -0.5 in JAX's "cubic", -0.75 in PyTorch."""

    def kernel(x: torch.Tensor) -> torch.Tensor:
        x = x.abs()
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((x - 5) * x + 8) * x * a - 4 * a
        return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))

    return kernel


def _lanczos(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), torch.zeros_like(x))


KERNELS = {"linear": _linear, "cubic": _keys(-0.5), "cubic-pytorch": _keys(-0.75), "lanczos3": _lanczos}


def interpolation(call: FunctionCall) -> Iterator[Alternative]:
    """`jax.image.resize` to the same size, by every method, smoothing or not."""
    size = tuple(call.result.shape[2:])
    mode = call.option(3, "mode", "nearest")
    corners = call.option(4, "align_corners", None)
    smoothing = bool(call.kwargs.get("antialias", False))
    for antialias in (False, True):
        for method, kernel in KERNELS.items():
            cause = "resize-mode" if method not in _same(mode) else "align-corners" if corners else "antialias"
            text = f"Flax computes jax.image.resize(method={method!r}, antialias={antialias})"
            text += ", whose default smooths before shrinking" if antialias and not smoothing else ""
            text += f"; PyTorch's mode is {mode!r}"
            text += ", with align_corners=True" if corners else ", without align_corners" if corners is False else ""
            text += ", with antialias=True" if smoothing else ""
            yield Alternative(cause, text, lambda k=kernel, a=antialias: resized(call.x, size, k, a))


def _same(mode: str) -> tuple[str, ...]:
    return {"bilinear": ("linear",), "linear": ("linear",), "trilinear": ("linear",)}.get(mode, ("cubic-pytorch",))


def resized(x: torch.Tensor, size: tuple[int, ...], kernel: Callable, antialias: bool) -> torch.Tensor:
    for axis, length in enumerate(size, 2):
        x = torch.movedim(torch.movedim(x, axis, -1) @ _weights(x.shape[axis], length, kernel, antialias), -1, axis)
    return x


def _weights(old: int, new: int, kernel: Callable, antialias: bool) -> torch.Tensor:
    scale = old / new
    wide = max(scale, 1.0) if antialias else 1.0
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * scale - 0.5
    weights = kernel((centres[None] - torch.arange(old, dtype=torch.float64)[:, None]) / wide)
    return weights / weights.sum(0, keepdim=True)
