"""One source of random numbers for both frameworks: a draw of the one is the same draw of the other.

Neither model changes. While Flax's function is traced, `jax.random.bernoulli`, `uniform` and `normal` answer
with given numbers; PyTorch's operators do so below autograd, where the dropout of a fused layer is seen too.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from d2l_jax.errors import InputError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Draw:
    """A request for random numbers.

    shape: of the framework that asks
    site:  the innermost submodule around it that both frameworks have, by PyTorch's name
    """

    shape: Shape
    normal: bool = False
    site: str = ""

    def __str__(self) -> str:
        kind = "normal" if self.normal else "uniform"
        return f"{kind} {self.shape}" + (f" in {self.site}" if self.site else "")


def torch_shape(shape: Shape) -> Shape:
    """Returns PyTorch's shape; of images, (batch, height, width, channels) -> (batch, channels, height, width)."""
    return (shape[0], shape[3], *shape[1:3]) if len(shape) == 4 else tuple(shape)


def requested(function: Callable, *args: Any, site: Callable[[], str] = lambda: "") -> list[Draw]:
    """The random numbers that `function` would draw, in their order; `site` says where the call is just now."""
    draws: list[Draw] = []

    def answer(shape: Shape, normal: bool) -> jax.Array:
        draws.append(Draw(tuple(shape), normal, site()))
        return jax.numpy.zeros(shape)

    with _answering(answer):
        jax.eval_shape(lambda *args: function(*args), *args)  # a new function: the cached trace would draw nothing
    return draws


def partners(flax: Sequence[Draw], pytorch: Sequence[Draw]) -> tuple[int, ...]:
    """For each draw of PyTorch's, which draw of Flax's it is: by site and order there, else by order alone.

    Raises InputError where the one draws what the other does not.
    """
    by_site = [(draw.site, torch_shape(draw.shape), draw.normal) for draw in flax]
    wanted = [(draw.site, draw.shape, draw.normal) for draw in pytorch]
    if Counter(by_site) != Counter(wanted):
        by_site, wanted = [("", *rest) for _, *rest in by_site], [("", *rest) for _, *rest in wanted]
        if by_site != wanted:
            listed = (", ".join(map(str, draws)) or "none" for draws in (pytorch, flax))
            raise InputError("random numbers differ: PyTorch draws {}; Flax draws {}".format(*listed))
    waiting: dict[Any, list[int]] = {}
    for number, key in enumerate(by_site):
        waiting.setdefault(key, []).append(number)
    return tuple(waiting[key].pop(0) for key in wanted)


def numbers(draws: Sequence[Draw], random: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Flax's draws in PyTorch's layout, values that float32 holds exactly: every precision sees the same."""

    def make(draw: Draw) -> np.ndarray:
        shape = torch_shape(draw.shape)
        if draw.normal:
            return random.normal(size=shape).astype(np.float32).astype(np.float64)
        return random.integers(0, 2**20, shape) / 2.0**20

    return tuple(map(make, draws))


@contextmanager
def imposed_on_jax(draws: Sequence[jax.Array]) -> Iterator[None]:
    """Within it the n-th draw of traced code is `draws[n]`, which is in PyTorch's layout."""
    remaining = iter(draws)

    def answer(shape: Shape, normal: bool) -> jax.Array:
        draw = next(remaining, None)
        if draw is None or draw.shape != torch_shape(shape):
            raise InputError(f"Flax draws other random numbers than when it was first traced: {shape}")
        return draw.transpose(0, 2, 3, 1) if len(shape) == 4 else draw

    with _answering(answer):
        yield


@contextmanager
def _answering(answer: Callable[[Shape, bool], jax.Array]) -> Iterator[None]:
    def bernoulli(key: Any, p: Any = 0.5, shape: Shape | None = None, **_: Any) -> jax.Array:
        return answer(tuple(jax.numpy.shape(p) if shape is None else shape), False) < p

    def uniform(key: Any, shape: Shape = (), dtype: Any = None, minval: float = 0.0, maxval: float = 1.0, **_: Any):
        draw = answer(tuple(shape), False)
        return (minval + draw * (maxval - minval)).astype(dtype or draw.dtype)

    def normal(key: Any, shape: Shape = (), dtype: Any = None, **_: Any) -> jax.Array:
        draw = answer(tuple(shape), True)
        return draw.astype(dtype or draw.dtype)

    stock = jax.random.bernoulli, jax.random.uniform, jax.random.normal
    jax.random.bernoulli, jax.random.uniform, jax.random.normal = bernoulli, uniform, normal
    try:
        yield
    finally:
        jax.random.bernoulli, jax.random.uniform, jax.random.normal = stock
