"""The one declaration of a model: everything that checks, trains, times or lists it reads a Case."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import optax
from flax import nnx

from d2l_jax import losses, optim


@dataclass(frozen=True)
class Case:
    """A model of the book with its data, loss and optimiser.

    name:       as the commands know it, e.g. "lenet"
    section:    of the book, or of the study notes ("A3")
    title:      the entry of the specification, e.g. "LeNet"
    model:      the Flax class or function; its PyTorch twin has the same file and name
    args:       the book's arguments
    inputs:     shape of one batch, images channels last
    probe:      arguments that differ in the parity check (odd sizes, fewer channels)
    probe_inputs: shape of the check's batch; all dimensions different, and odd unless a stride needs an even one
    outputs:    "scores", "values" (regression), or "images" (batch, height, width, channels)
    loss:       a function of `d2l_jax.losses`; the twin's has the same name
    penalty:    a function of the parameters that is added to the loss, likewise
    optimizer:  a `partial` of a factory of `d2l_jax.optim`; the twin's is that name in `torch.optim`
    data:       name of the data set it is trained on; "" for building blocks
    resize:     (height, width) in pixels, where the data is resized
    epochs:     how many the chapter trains
    """

    name: str
    section: str
    title: str
    model: Callable[..., nnx.Module]
    inputs: tuple[int, ...]
    args: dict[str, Any] = field(default_factory=dict)
    probe: dict[str, Any] = field(default_factory=dict)
    probe_inputs: tuple[int, ...] | None = None
    outputs: str = "scores"
    loss: Callable = losses.cross_entropy
    penalty: Callable | None = None
    optimizer: Callable[..., optax.GradientTransformation] = partial(optim.SGD, lr=0.1)
    data: str = ""
    resize: tuple[int, int] | None = None
    epochs: int = 10

    def build(self, seed: int = 0) -> nnx.Module:
        """The model with the book's arguments, freshly initialised."""
        return self.model(**self.args, rngs=nnx.Rngs(seed))

    @property
    def batch_size(self) -> int:
        return self.inputs[0]
