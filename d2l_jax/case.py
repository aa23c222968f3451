"""The one declaration of a model: everything that checks, trains, times or lists it reads a Case."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import numpy as np
import optax
from flax import nnx

from d2l_jax import losses, optim
from d2l_jax.augment import Augment
from d2l_jax.functional import Tree
from d2l_jax.metrics import LABELS, Metric
from d2l_jax.train.steps import Observe
from d2l_jax.turns import Both, Measured, Observed, Supervised, Tensors, Turn
from d2l_jax.turns import supervised as turn_of

Shape = tuple[int, ...]


class Input(NamedTuple):
    """An array that a model takes, as it is declared.

    shape: the batch first
    least: of integers, the smallest
    below: of integers, the first that is too large; 0 for floating-point numbers
    """

    shape: Shape
    least: int = 0
    below: int = 0

    @property
    def dtype(self) -> type:
        """Returns NumPy's type of the array."""
        return np.int32 if self.below else np.float32

    @property
    def is_image(self) -> bool:
        """Tells whether it is images, (batch, height, width, channels)."""
        return not self.below and len(self.shape) == 4

    def random(self, random: np.random.Generator) -> np.ndarray:
        """Draws integers in the range; or normal numbers of mean 0.4, float32: a mean of 0 would hide bugs."""
        if self.below:
            return random.integers(self.least, self.below, self.shape, self.dtype)
        return (0.4 + random.normal(size=self.shape)).astype(self.dtype)


def floats(shape: Shape) -> Input:
    """Declares floating-point numbers."""
    return Input(shape)


def tokens(shape: Shape, vocab: int) -> Input:
    """Declares numbers of tokens, from 0 to `vocab` - 1."""
    return Input(shape, 0, vocab)


def lengths(shape: Shape, longest: int) -> Input:
    """Declares valid lengths, from 1 to `longest`."""
    return Input(shape, 1, longest + 1)


PLAIN_SGD = partial(optim.SGD, lr=0.1)
Draw = Callable[[np.random.Generator], Tensors]


@dataclass(frozen=True)
class Case:
    """A model of the book with its batches, and with the turns in which it learns.

    name:       as the commands know it, e.g. "lenet"
    section:    of the book, or of the study notes ("A3")
    title:      the entry of the specification, e.g. "LeNet"
    model:      the Flax class or function, or several, {"net_D": ..., "net_G": ...}; the PyTorch twin of each has the
                same file and name. None where an algorithm has no parameters
    inputs:     shape of one batch of "input", images channels last; or a tuple of `tokens`, `lengths` and `floats`.
                () where `draw` makes the batches
    args:       the book's arguments
    probe:      arguments that differ in the parity check (odd sizes, fewer channels)
    probe_inputs: inputs of the check; all dimensions different, and odd unless a stride needs an even one
    draw:       random numbers -> a batch by name, for related arrays that are drawn together; None draws "input" from
                `inputs`, and "targets" that fit the outputs
    turns:      the updates of a training step, see `d2l_jax.turns`; none where nothing is learned
    observe:    (nets, tensors) -> tensors, in evaluation mode; what is measured on held-out data and compared
    afterwards: a further evaluation, in the check alone, of what runs after training, as a translation
    labels:     targets are classes, one for each row of scores; else numbers like the outputs
    ignored:    a class of targets that does not count; the check draws some of it
    metrics:    {name: what is measured beside the loss}
    data:       name of the data set it is trained on; "" for building blocks
    resize:     (height, width) in pixels, where the data is resized
    augment:    changes of images before they reach the model, when it learns and when it is tested
    weights:    path of a state_dict that a run starts from, a .safetensors file; "" draws all weights
    starts:     tensors by PyTorch's names that a run starts from in the place of drawn ones
    epochs:     how many the chapter trains
    """

    name: str
    section: str
    title: str
    model: Callable[..., nnx.Module] | Mapping[str, Callable[..., nnx.Module]] | None
    inputs: Shape | tuple[Input, ...] = ()
    args: dict[str, Any] = field(default_factory=dict)
    probe: dict[str, Any] = field(default_factory=dict)
    probe_inputs: Shape | tuple[Input, ...] | None = None
    draw: Draw | None = None
    turns: tuple[Turn, ...] = ()
    observe: Observe | None = None
    afterwards: Observe | None = None
    labels: bool = False
    ignored: int | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    data: str = ""
    resize: tuple[int, int] | None = None
    augment: Augment | None = None
    weights: str = ""
    starts: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)
    epochs: int = 10

    def build(self, seed: int = 0, probe: bool = False) -> nnx.Module:
        """Returns the model, freshly initialised, with the book's arguments, or with those of the check.

        Several nets stand in an `nnx.Dict` under their names; the arguments of each are `args[name]`.
        """
        args = self.args | self.probe if probe else self.args
        rngs = nnx.Rngs(seed)
        if self.model is None:
            return nnx.Dict()
        if isinstance(self.model, Mapping):
            return nnx.Dict({name: make(**args.get(name, {}), rngs=rngs) for name, make in self.model.items()})
        return self.model(**args, rngs=rngs)

    @property
    def checked(self) -> Observe | None:
        """Returns all that is compared in evaluation mode, what the metrics are made of included."""
        both = Both(self.observe, self.afterwards) if self.observe and self.afterwards else self.observe
        return Measured(both, self.metrics) if both and self.metrics else both

    @property
    def turn(self) -> Turn:
        """Returns the only turn, of supervised learning."""
        (turn,) = self.turns
        return turn

    def with_turn(self, **members: Any) -> "Case":
        """Returns the same case with other members of its only turn: `optimizer`, `clip`, `trains`."""
        return replace(self, turns=(self.turn._replace(**members),))

    @property
    def objective(self) -> Supervised:
        """Returns what supervised learning minimises: its `loss` and its `penalty`."""
        return cast(Supervised, self.turn.objective)

    def with_loss(self, loss: Callable) -> "Case":
        """Returns the same case of supervised learning with another loss."""
        return replace(self.with_turn(objective=replace(self.objective, loss=loss)), observe=Observed(loss))

    @property
    def arrays(self) -> tuple[Input, ...]:
        """Returns the declared arrays of "input"."""
        return as_arrays(self.inputs)

    @property
    def probe_arrays(self) -> tuple[Input, ...]:
        """Returns the declared arrays of "input" in the check."""
        return as_arrays(self.probe_inputs or self.inputs)

    @property
    def batch_size(self) -> int:
        """Returns the number of examples in the book's batch; 0 where batches are drawn otherwise."""
        return self.arrays[0].shape[0] if self.arrays else 0

    def of_batch_size(self, size: int) -> "Case":
        """Returns the same case with `size` examples in a batch."""
        return replace(self, inputs=resized(self.arrays, size))

    def abstract_inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Returns shapes and dtypes of one batch of "input"."""
        return tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in self.arrays)


def supervised(
    name: str = "",
    section: str = "",
    title: str = "",
    model: Callable[..., nnx.Module] | None = None,
    inputs: Shape | tuple[Input, ...] = (),
    *,
    loss: Callable = losses.cross_entropy,
    penalty: Callable[[Tree], Any] | None = None,
    optimizer: Callable[..., optax.GradientTransformation] = PLAIN_SGD,
    clip: float | None = None,
    trains: str | tuple[str, ...] = "",
    labels: bool = True,
    metrics: Mapping[str, Metric] | None = None,
    **options: Any,
) -> Case:
    """Returns a Case of supervised learning: one turn, in which all parameters learn from "input" and "targets".

    loss:      a function of `d2l_jax.losses`; the twin's has the same name
    penalty:   a function of the parameters that is added to the loss, with a twin of the same name
    optimizer: a `partial` of a factory of `d2l_jax.optim`; the twin's is that name in `torch.optim`
    clip:      norm above which the gradients of all parameters together are scaled down
    trains:    start of the PyTorch names of the parameters that learn, or several; "" is all of them
    metrics:   None takes the accuracy where the targets are labels
    options:   further members of the Case
    """
    if metrics is None:
        metrics = LABELS if labels else {}
    return Case(
        name,
        section,
        title,
        model,
        inputs,
        turns=turn_of(loss, optimizer, clip, penalty, trains),
        observe=Observed(loss),
        labels=labels,
        metrics=metrics,
        **options,
    )


def nothing(random: np.random.Generator) -> Tensors:
    """Draws a batch without tensors."""
    return {}


def resized(arrays: Sequence[Input], size: int) -> tuple[Input, ...]:
    """Returns the arrays with `size` examples."""
    return tuple(x._replace(shape=(size, *x.shape[1:])) for x in arrays)


def as_arrays(inputs: Shape | tuple[Input, ...]) -> tuple[Input, ...]:
    """Returns the declared arrays; a single shape stands for one array of floating-point numbers."""
    arrays = tuple(x for x in inputs if isinstance(x, Input))
    return arrays or ((floats(cast(Shape, inputs)),) if inputs else ())
