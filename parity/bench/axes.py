"""Along what a model can grow: each axis is a function of a case and a factor."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from d2l_jax.case import Case, Input

WIDTHS = ("num_hiddens", "ffn_num_hiddens", "mlp_num_hiddens")
DEPTHS = ("num_layers", "num_blks")


class Grown(NamedTuple):
    """A case that is larger along one axis, and how large it is there."""

    case: Case
    value: int


def batch(case: Case, factor: int) -> Grown:
    """More examples."""
    size = case.batch_size * factor
    return Grown(case.of_batch_size(size), size)


def width(case: Case, factor: int) -> Grown | None:
    """More hidden units, all of them."""
    return _arguments(case, factor, WIDTHS)


def depth(case: Case, factor: int) -> Grown | None:
    """More layers."""
    return _arguments(case, factor, DEPTHS)


def steps(case: Case, factor: int) -> Grown | None:
    """Longer sequences of tokens, with longer valid lengths."""
    tokens = [x for x in case.arrays if x.below and len(x.shape) == 2]
    if not tokens:
        return None
    return Grown(replace(case, inputs=tuple(_longer(x, factor) for x in case.arrays)), tokens[0].shape[1] * factor)


def image(case: Case, factor: int) -> Grown | None:
    """Larger images, and a model that is made for them."""
    if not case.arrays[0].is_image:
        return None
    size, height, width, channels = case.arrays[0].shape
    height = height * factor
    width = width * factor
    pair = (height, width)
    flat = height * width * channels
    sizes = {"image_size": pair, "img_size": pair, "in_features": flat, "num_inputs": flat}
    sized = {name: value for name, value in sizes.items() if name in _defaults(case)}
    return Grown(replace(case, inputs=(size, height, width, channels), args=case.args | sized), height)


AXES: dict[str, Callable[[Case, int], Grown | None]] = {
    "batch": batch,
    "width": width,
    "depth": depth,
    "steps": steps,
    "image": image,
}


def _arguments(case: Case, factor: int, names: tuple[str, ...]) -> Grown | None:
    """The constructor's arguments of these names, the book's or their defaults, all times the factor."""
    known = _defaults(case) | case.args
    known = {name: value for name, value in known.items() if name in names and isinstance(value, int)}
    if not known:
        return None
    larger = {name: value * factor for name, value in known.items()}
    return Grown(replace(case, args=case.args | larger), next(iter(larger.values())))


def _defaults(case: Case) -> dict[str, Any]:
    """Returns what the constructor takes, with its defaults; Flax hides the signature of a class."""
    model: Any = case.model
    parameters = inspect.signature(model.__init__ if inspect.isclass(model) else model).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def _longer(array: Input, factor: int) -> Input:
    """Tokens are (batch, steps); valid lengths, (batch,), start at 1 and end at the number of steps."""
    if array.below and len(array.shape) == 2:
        return array._replace(shape=(array.shape[0], array.shape[1] * factor))
    return array._replace(below=(array.below - 1) * factor + 1) if array.least == 1 else array
