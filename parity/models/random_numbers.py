"""One source of random numbers for both frameworks: a request of the one is answered as the same request of the other.

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
from parity.models.answering import answering
from parity.models.random_shapes import Shape, is_shared, layouts

NOTHING_DROPPED = np.nan  # in place of a number between 0 and 1
LEFT_OUT = (0,)  # the shape of what Flax's own dropout is given that drops nothing


@dataclass(frozen=True)
class RandomRequest:
    """A request for random numbers.

    shape: of the framework that asks
    site:  the innermost submodule around it that both frameworks have, by PyTorch's name
    place: the innermost submodule around it, by the name that its own framework has for it
    uniform: it is for numbers between 0 and 1, of which the model itself may make a mask
    keeps:   the other framework does not ask for it, so that it is answered in a way that drops nothing
    idle:    nothing depends on what it is answered, as where a layer is left out with a probability of 0
    stock:   it is made by Flax's own dropout, which can be left out
    """

    shape: Shape
    normal: bool = False
    site: str = ""
    place: str = ""
    uniform: bool = False
    keeps: bool = False
    idle: bool = False
    stock: bool = False

    def __str__(self) -> str:
        kind = "normal" if self.normal else "uniform"
        return f"{kind} {self.shape}" + (f" in {self.site}" if self.site else "")


def nothing_dropped(numbers: np.ndarray) -> bool:
    """Tells whether these are the answer to a request that one side alone makes."""
    return numbers.shape == LEFT_OUT or bool(np.isnan(numbers).any())


def torch_shape(shape: Shape) -> Shape:
    """Returns PyTorch's shape; of images, (batch, height, width, channels) -> (batch, channels, height, width)."""
    return (shape[0], shape[3], *shape[1:3]) if len(shape) == 4 else tuple(shape)


def nowhere() -> str:
    """Returns no place."""
    return ""


def requested(
    function: Callable, *args: Any, site: Callable[[], str] = nowhere, place: Callable[[], str] = nowhere
) -> list[RandomRequest]:
    """The random numbers that `function` would draw, in their order; `site` and `place` say where the call is."""
    requests: list[RandomRequest] = []

    def answer(shape: Shape, normal: bool, uniform: bool = False, stock: bool = False) -> jax.Array:
        requests.append(RandomRequest(tuple(shape), normal, site(), place(), uniform, stock=stock))
        return jax.numpy.zeros(shape)

    with answering(answer):
        jax.eval_shape(lambda *args: function(*args), *args)  # a new function: the cached trace would draw nothing
    return requests


def partners(flax: Sequence[RandomRequest], pytorch: Sequence[RandomRequest]) -> tuple[int, ...]:
    """Returns for each request of PyTorch's which of Flax's it is: by site and order there, else by order alone.

    One that Flax makes for several places at once, (1, 1, queries, keys), is PyTorch's for each of them.

    Raises InputError where the one draws what the other does not.
    """
    for fits in FITS:
        there = _assigned(flax, pytorch, fits)
        if there is not None:
            return there
        if len(flax) == len(pytorch) and all(map(fits, flax, pytorch)):
            return tuple(range(len(flax)))
    listed = (", ".join(map(str, requests)) or "none" for requests in (pytorch, flax))
    text = "random numbers differ: PyTorch draws {}; Flax draws {}".format(*listed)
    raise InputError(f"{text}; {_on_one_side(flax, pytorch)}")


def dropped_alone(flax: Sequence[RandomRequest], pytorch: Sequence[RandomRequest]) -> tuple[int, ...]:
    """Lists PyTorch's requests for dropout that Flax does not make, where that is all and no other is like them."""
    left = _beyond_sites(flax, pytorch) or _beyond_order(flax, pytorch)
    return () if any(pytorch[number].normal or pytorch[number].uniform for number in left) else left


def _beyond_sites(flax: Sequence[RandomRequest], pytorch: Sequence[RandomRequest]) -> tuple[int, ...]:
    """Lists those that are left once each of Flax's has its like in the same submodule."""
    left = list(range(len(pytorch)))
    for request in flax:
        there = [i for i in left if pytorch[i].site == request.site]
        number = next((i for fits in FITS for i in there if fits(request, pytorch[i])), None)
        if number is None:
            return ()
        left.remove(number)
    alike = Counter((request.site, request.shape) for request in pytorch)
    alone = [pytorch[number] for number in left]
    sure = all(alike[x.site, x.shape] == sum((x.site, x.shape) == (y.site, y.shape) for y in alone) for x in alone)
    return tuple(left) if sure else ()


def _beyond_order(flax: Sequence[RandomRequest], pytorch: Sequence[RandomRequest]) -> tuple[int, ...]:
    """Lists those that are like none of Flax's, where the others are Flax's in their order."""
    for fits in FITS:
        left = [i for i, theirs in enumerate(pytorch) if not any(fits(ours, theirs) for ours in flax)]
        both = [theirs for i, theirs in enumerate(pytorch) if i not in left]
        if len(both) == len(flax) and all(map(fits, flax, both)):
            return tuple(left)
    return ()


def _assigned(
    flax: Sequence[RandomRequest],
    pytorch: Sequence[RandomRequest],
    fits: Callable[[RandomRequest, RandomRequest], bool],
) -> tuple[int, ...] | None:
    left = list(range(len(flax)))
    order: list[int] = []
    for request in pytorch:
        number = next((i for i in left if flax[i].site == request.site and fits(flax[i], request)), None)
        if number is None:
            return None
        left.remove(number)
        order.append(number)
    return None if left else tuple(order)


def _fits(ours: RandomRequest, theirs: RandomRequest) -> bool:
    same = theirs.shape in (ours.shape, torch_shape(ours.shape)) or is_shared(ours.shape, theirs.shape)
    return ours.normal == theirs.normal and same


def _fits_otherwise(ours: RandomRequest, theirs: RandomRequest) -> bool:
    """Tells whether the layout is another: channels first between 1-d convolutions, heads within the batch."""
    return ours.normal == theirs.normal and any(layouts(ours.shape, theirs.shape))


FITS = _fits, _fits_otherwise  # the likelier first


def given_shapes(flax: Sequence[RandomRequest], pytorch: Sequence[RandomRequest], order: Sequence[int]) -> list[Shape]:
    """Returns the shape of the numbers for each request of Flax's: PyTorch's, but where they are shared."""
    shapes = [torch_shape(request.shape) for request in flax]
    for number, request in zip(order, pytorch, strict=True):
        shared = is_shared(flax[number].shape, request.shape)
        shapes[number] = flax[number].shape if shared else request.shape
    return shapes


def _on_one_side(flax: Sequence[RandomRequest], pytorch: Sequence[RandomRequest]) -> str:
    """Says where the one draws and the other does not, as dropout that was left out."""
    ours = list(flax)
    theirs = list(pytorch)
    for same in (_alike_there, _alike):
        for request in list(theirs):
            partner = next((other for other in ours if same(request, other)), None)
            if partner:
                theirs.remove(request)
                ours.remove(partner)
    told = [f"{_where(request)} in PyTorch alone" for request in theirs]
    told += [f"{_where(request)} in Flax alone" for request in ours]
    if theirs and ours and len(theirs) == len(ours):
        told.append("masks of other shapes are dropout of whole channels on one side (Dropout2d, broadcast_dims)")
    return f"dropout on one side only: {'; '.join(told)}" if told else "in another order"


def _alike_there(request: RandomRequest, other: RandomRequest) -> bool:
    return request.site == other.site and _alike(request, other)


def _alike(request: RandomRequest, other: RandomRequest) -> bool:
    return request.normal == other.normal and sorted(request.shape) == sorted(other.shape)


def _where(request: RandomRequest) -> str:
    return f"{request.place or 'the body of the model'} {request.shape}"


def numbers(
    requests: Sequence[RandomRequest], random: np.random.Generator, shapes: Sequence[Shape] | None = None
) -> tuple[np.ndarray, ...]:
    """Returns numbers for Flax's requests, which float32 holds exactly: every precision sees the same.

    shapes: in PyTorch's layout, where they are not images'
    """

    def make(request: RandomRequest, shape: Shape) -> np.ndarray:
        if request.keeps and request.stock:
            return np.zeros(LEFT_OUT)
        if request.keeps:
            return np.full(shape, 0.5 if request.idle else NOTHING_DROPPED)
        if request.normal:
            return random.normal(size=shape).astype(np.float32).astype(np.float64)
        return (random.integers(0, 2**20, shape) + 0.5) / 2.0**20  # none is a rate, and 1 - u is one of them

    return tuple(map(make, requests, shapes or [torch_shape(request.shape) for request in requests]))


@contextmanager
def imposed_on_jax(values: Sequence[jax.Array]) -> Iterator[None]:
    """Answers the n-th request of code traced within the block with `values[n]`, which is in PyTorch's layout."""
    remaining = iter(values)

    def answer(shape: Shape, normal: bool, uniform: bool = False, stock: bool = False) -> jax.Array | None:
        value = next(remaining, None)
        if stock and value is not None and value.shape == LEFT_OUT != shape:
            return None
        layout = None if value is None else next(layouts(shape, value.shape), None)
        if value is None or layout is None:
            raise InputError(f"Flax draws other random numbers than when it was first traced: {shape}")
        return layout.to_flax(value)

    with answering(answer):
        yield
