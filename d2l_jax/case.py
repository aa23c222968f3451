"""The one declaration of a model: everything that checks, trains, times or lists it reads a Case."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array

from d2l_jax import losses, optim
from d2l_jax.functional import Tree

Shape = tuple[int, ...]


class Input(NamedTuple):
    """One array that a model takes.

    shape: the batch first
    least: of integers, the smallest
    below: of integers, the first that is too large; 0 for floating-point numbers
    """

    shape: Shape
    least: int = 0
    below: int = 0

    @property
    def dtype(self) -> type:
        return np.int32 if self.below else np.float32

    def random(self, random: np.random.Generator) -> np.ndarray:
        """Integers in the range; or normal numbers of mean 0.4, float32: a mean of 0 would hide bugs."""
        if self.below:
            return random.integers(self.least, self.below, self.shape, self.dtype)
        return (0.4 + random.normal(size=self.shape)).astype(self.dtype)


def floats(shape: Shape) -> Input:
    """Floating-point numbers."""
    return Input(shape)


def tokens(shape: Shape, vocab: int) -> Input:
    """Numbers of tokens, from 0 to `vocab` - 1."""
    return Input(shape, 0, vocab)


def lengths(shape: Shape, longest: int) -> Input:
    """Valid lengths, from 1 to `longest`."""
    return Input(shape, 1, longest + 1)


@dataclass(frozen=True)
class Case:
    """A model of the book with its data, loss and optimiser.

    name:       as the commands know it, e.g. "lenet"
    section:    of the book, or of the study notes ("A3")
    title:      the entry of the specification, e.g. "LeNet"
    model:      the Flax class or function; its PyTorch twin has the same file and name
    args:       the book's arguments
    inputs:     shape of one batch, images channels last; or a tuple of `tokens`, `lengths` and `floats`
    probe:      arguments that differ in the parity check (odd sizes, fewer channels)
    probe_inputs: likewise for the check's batch; all dimensions different, and odd unless a stride needs an even one
    outputs:    "scores", "tokens" (scores of the next token at each step), "values" (regression), or "images"
                (batch, height, width, channels)
    loss:       a function of `d2l_jax.losses`; the twin's has the same name
    penalty:    a function of the parameters that is added to the loss, likewise
    optimizer:  a `partial` of a factory of `d2l_jax.optim`; the twin's is that name in `torch.optim`
    clip:       norm above which the gradients of all parameters together are scaled down; None leaves them
    data:       name of the data set it is trained on; "" for building blocks
    resize:     (height, width) in pixels, where the data is resized
    epochs:     how many the chapter trains
    """

    name: str
    section: str
    title: str
    model: Callable[..., nnx.Module]
    inputs: Shape | tuple[Input, ...]
    args: dict[str, Any] = field(default_factory=dict)
    probe: dict[str, Any] = field(default_factory=dict)
    probe_inputs: Shape | tuple[Input, ...] | None = None
    outputs: str = "scores"
    loss: Callable = losses.cross_entropy
    penalty: Callable | None = None
    optimizer: Callable[..., optax.GradientTransformation] = partial(optim.SGD, lr=0.1)
    clip: float | None = None
    data: str = ""
    resize: tuple[int, int] | None = None
    epochs: int = 10

    def build(self, seed: int = 0) -> nnx.Module:
        """The model with the book's arguments, freshly initialised."""
        return self.model(**self.args, rngs=nnx.Rngs(seed))

    def objective(self, outputs: Any, targets: Any, params: Tree) -> Array:
        """What is minimised: the loss, and the penalty."""
        loss = self.loss(outputs, targets)
        return loss + self.penalty(params) if self.penalty else loss

    def transformation(self) -> optax.GradientTransformation:
        """The optimiser, behind the clipping."""
        clip = () if self.clip is None else (optim.clip_gradients(self.clip),)
        return optax.chain(*clip, self.optimizer()) if clip else self.optimizer()

    @property
    def arrays(self) -> tuple[Input, ...]:
        """What the model takes."""
        return as_arrays(self.inputs)

    @property
    def probe_arrays(self) -> tuple[Input, ...]:
        """What it takes in the check."""
        return as_arrays(self.probe_inputs or self.inputs)

    @property
    def batch_size(self) -> int:
        return self.arrays[0].shape[0]

    def of_batch_size(self, size: int) -> "Case":
        """The same with `size` examples in a batch."""
        return replace(self, inputs=tuple(x._replace(shape=(size, *x.shape[1:])) for x in self.arrays))

    def abstract_inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shapes and dtypes of one batch."""
        return tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in self.arrays)

    @property
    def kind(self) -> str:
        """Of the data that it learns from: "image", "tabular", "text" or "translation"."""
        first, *more = self.arrays
        if first.below:
            return "translation" if more else "text"
        return "image" if len(first.shape) == 4 else "tabular"


def as_arrays(inputs: Shape | tuple[Input, ...]) -> tuple[Input, ...]:
    """One shape stands for one array of floating-point numbers."""
    arrays = tuple(x for x in inputs if isinstance(x, Input))
    return arrays or (floats(cast(Shape, inputs)),)
