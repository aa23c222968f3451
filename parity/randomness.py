"""One source of random numbers for both frameworks: the n-th draw of a model is the same on either side.

Neither model changes. While Flax's function is traced, `jax.random.bernoulli` and `jax.random.uniform`
answer with given numbers; PyTorch's `dropout` and `rand` do so under a function mode.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from d2l_jax.errors import InputError

Shape = tuple[int, ...]


def torch_shape(shape: Shape) -> Shape:
    """Of images: (batch, height, width, channels) -> (batch, channels, height, width)."""
    return (shape[0], shape[3], *shape[1:3]) if len(shape) == 4 else tuple(shape)


def requested(function: Callable, *args: Any) -> list[Shape]:
    """The shapes, in PyTorch's layout, of the numbers that `function` would draw."""
    shapes: list[Shape] = []

    def answer(shape: Shape) -> jax.Array:
        shapes.append(torch_shape(shape))
        return jax.numpy.zeros(shape)

    with _answering(answer):
        jax.eval_shape(lambda *args: function(*args), *args)  # a new function: the cached trace would draw nothing
    return shapes


def uniforms(shapes: list[Shape], random: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Numbers in [0, 1) that float32 holds exactly, so that every precision sees the same masks."""
    return tuple(random.integers(0, 2**20, shape) / 2.0**20 for shape in shapes)


@contextmanager
def imposed_on_jax(draws: tuple[jax.Array, ...]) -> Iterator[None]:
    """Within it the n-th draw of traced code is `draws[n]`."""
    remaining = iter(draws)

    def answer(shape: Shape) -> jax.Array:
        draw = next(remaining, None)
        if draw is None:
            raise InputError(f"Flax draws more random numbers in training than when it was first traced: {shape}")
        return draw.transpose(0, 2, 3, 1) if len(shape) == 4 else draw

    with _answering(answer):
        yield


@contextmanager
def _answering(answer: Callable[[Shape], jax.Array]) -> Iterator[None]:
    def bernoulli(key: Any, p: float = 0.5, shape: Shape = (), **_: Any) -> jax.Array:
        return answer(tuple(shape)) < p

    def uniform(key: Any, shape: Shape = (), dtype: Any = None, minval: float = 0.0, maxval: float = 1.0, **_: Any):
        draw = answer(tuple(shape))
        return (minval + draw * (maxval - minval)).astype(dtype or draw.dtype)

    stock = jax.random.bernoulli, jax.random.uniform
    jax.random.bernoulli, jax.random.uniform = bernoulli, uniform
    try:
        yield
    finally:
        jax.random.bernoulli, jax.random.uniform = stock


class ImposedOnTorch(TorchFunctionMode):
    """Within it the n-th draw of PyTorch code is `draws[n]`."""

    def __init__(self, draws: tuple[np.ndarray, ...]):
        super().__init__()
        self.remaining = iter(draws)

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.nn.functional.dropout:
            return self._dropout(*args, **kwargs)
        if func is torch.rand:
            shape = args[0] if len(args) == 1 and not isinstance(args[0], int) else args
            return self._next(tuple(shape), torch.get_default_dtype(), kwargs.get("device"))
        return func(*args, **kwargs)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        super().__exit__(kind, error, trace)
        left = next(self.remaining, None)
        if kind is None and left is not None:
            raise InputError(f"Flax draws random numbers of shape {left.shape} where PyTorch draws none")

    def _dropout(self, x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        if not training or p == 0:
            return x
        if p == 1:
            return x * 0
        keep = self._next(tuple(x.shape), x.dtype, x.device) < 1 - p
        return x * (keep.to(x.dtype) / (1 - p))

    def _next(self, shape: Shape, dtype: torch.dtype, device: Any) -> torch.Tensor:
        draw = next(self.remaining, None)
        if draw is None or draw.shape != shape:
            drawn = "none" if draw is None else draw.shape
            raise InputError(f"PyTorch draws random numbers of shape {shape} where Flax draws {drawn}")
        return torch.as_tensor(draw, dtype=dtype, device=device)
