"""Names of the arrays that a side records, as their parts: nobody takes text apart."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np

OfAStep = Literal[
    "start",
    "weights",
    "evaluation",
    "forward",
    "gradients",
    "at zero",
    "beyond bounds",
    "compiled",
    "buffers",
    "update",
    "optimizer",
]
Phase = Literal[OfAStep, "backward", "after", "free run"]
OF_A_STEP: tuple[Phase, ...] = get_args(OfAStep)  # in the order in which a step meets them


class Key(NamedTuple):
    """The name of a recorded array; its text is for people.

    step:   of training, from 1
    phase:  of the step, before the first "start" and "weights"; "at zero" are gradients, some numbers being 0;
            "beyond bounds" outputs and gradients with larger numbers;
            "compiled" what `jax.jit` makes of a model by itself;
            of a layer on its own "forward", "backward" or "buffers"; "after" of steps in a row
    tensor: PyTorch's name: "net.0.weight", "output", "loss"
    turn:   "" for the only turn of a step
    slot:   of an optimiser's state: "exp_avg"
    layer:  of a layer on its own, its label: "net.0 (call 2)"
    """

    step: int
    phase: Phase
    tensor: str
    turn: str = ""
    slot: str = ""
    layer: str = ""

    @property
    def place(self) -> str:
        """The phase in words: "forward", "step 2 update", "layer backward", "after 5 steps"."""
        if self.layer:
            return f"layer {self.phase}"
        if self.phase == "after":
            return f"after {self.step} steps"
        if self.phase == "free run":
            return self.phase
        phase = f"{self.turn} {self.phase}".lstrip()
        return phase if self.step == 1 else f"step {self.step} {phase}"

    @property
    def name(self) -> str:
        """The tensor in words, after its layer or its slot: "net.0.output", "exp_avg:net.0.weight"."""
        if self.layer:
            return f"{self.layer}.{self.tensor}"
        return f"{self.slot}:{self.tensor}" if self.slot else self.tensor

    @property
    def is_output(self) -> bool:
        """Tells whether it is a model's output, or one of several."""
        return is_part("output", self.tensor)

    @property
    def is_input(self) -> bool:
        """Tells whether it belongs to an input, or to one of several."""
        return is_part("input", self.tensor)

    @property
    def is_measure(self) -> bool:
        """Tells whether a metric is made of it: it may count what a tie decides."""
        return self.phase == "evaluation" and self.tensor.startswith(("sum of ", "count of "))

    @property
    def is_made_of_outputs(self) -> bool:
        """Tells whether evaluation makes it of outputs: its loss, and what metrics are made of."""
        return self.is_measure or self.phase == "evaluation" and self.tensor == "loss"

    def __str__(self) -> str:
        return f"{self.place}/{self.name}"


def is_part(whole: str, name: str) -> bool:
    """Tells whether the name is that of the whole, or of a part of it: "output", "output.1"."""
    return name == whole or name.startswith(f"{whole}.")


def scores_of(names: Iterable[str]) -> str:
    """Returns which of several outputs the scores of classes are: the one that is called so, or the first."""
    names = list(names)
    return next((name for name in names if name.endswith(("logits", "scores"))), names[0])


Arrays = dict[str, np.ndarray]
Record = dict[Key, np.ndarray]


def in_phases(step: int, turn: str, phases: Mapping[Phase, Arrays]) -> Record:
    """Returns the arrays of one turn of a step, in one record."""
    return {Key(step, phase, name, turn): array for phase, arrays in phases.items() for name, array in arrays.items()}


def input_names(count: int) -> list[str]:
    """Returns the names of a model's inputs."""
    return ["input"] if count == 1 else [f"input.{number}" for number in range(count)]
