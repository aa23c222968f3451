"""A pair of correct models, and a bug planted in one of them."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from flax import nnx

from parity.twin.learning import PLAIN_SGD, Learning
from parity.twin.of_pair import twin_of_pair
from parity.twin.structure import with_shapes
from parity.twin.twin import Twin

Plant = Callable[[Any], Any]


@dataclass(frozen=True)
class Pair:
    """Two models that are the same, and how both are trained.

    flax:      makes Flax's model
    torch:     makes PyTorch's
    shape:     of one batch; seeds above 0 make it larger
    integers:  inputs are whole numbers below this, or floating-point numbers where it is 0
    labels:    targets are classes
    loss:      (Flax's, PyTorch's), see `parity.check`
    optimizer: (Flax's, PyTorch's), see `parity.check`
    scale, offset: of floating-point inputs, normal numbers
    torch_turn: parts of PyTorch's turn that differ: a scheduler, clipping
    """

    name: str
    flax: Callable[[], nnx.Module]
    torch: Callable[[], torch.nn.Module]
    shape: tuple[int, ...]
    integers: int = 0
    labels: bool = False
    loss: Any = None
    optimizer: Any = PLAIN_SGD
    torch_turn: dict[str, Any] = field(default_factory=dict)
    steps: int = 2
    scale: float = 1.0
    offset: float = 0.3

    def twin(self, plant: Plant = lambda model: None, seed: int = 0, **flax_turn: Any) -> Twin:
        """Returns the pair as a twin, with what `plant` does to Flax's model.

        Raises InputError where the models cannot correspond.
        """
        model = with_shapes(self.flax)
        plant(model)
        twin = twin_of_pair(
            model,
            self.torch(),
            (self.inputs(seed),),
            learning=Learning(self.loss, self.optimizer),
            labels=self.labels,
            steps=self.steps,
        )
        return replace(twin, name=self.name).with_torch(**self.torch_turn).with_flax(**flax_turn)

    def larger(self, scale: float) -> "Pair":
        """The same pair with larger numbers."""
        return replace(self, scale=scale)

    def inputs(self, seed: int) -> np.ndarray:
        random = np.random.default_rng([zlib.crc32(self.name.encode()), seed])
        shape = (self.shape[0] + seed, *self.shape[1:])
        if self.integers:
            ids = random.integers(0, self.integers, shape)
            ids[0, :2] = 0, 1  # padding, too
            return ids
        return np.asarray(self.scale * (random.normal(size=shape) + self.offset), np.float32)


@dataclass(frozen=True)
class Bug:
    """A mistake on Flax's side.

    place:    the layer's name in PyTorch; "" the model's own body; "loss" or "optimizer"
    causes:   the names of `Cause` that are right, or words of the one line of an InputError
    plant:    changes Flax's model in place
    flax_turn: parts of Flax's turn: a wrong objective or optimiser
    steps:    of training, where the pair's are too few to see it
    """

    name: str
    pair: Pair
    place: str
    causes: tuple[str, ...]
    plant: Plant = lambda model: None
    flax_turn: dict[str, Any] = field(default_factory=dict)
    tiers: tuple[str, ...] = ("float64",)
    steps: int = 0

    def twin(self) -> Twin:
        pair = replace(self.pair, steps=self.steps) if self.steps else self.pair
        return pair.twin(self.plant, **self.flax_turn)


def become(layer: str, cls: type) -> Plant:
    """Plants another class of the layer."""
    return lambda model: setattr(getattr(model, layer) if layer else model, "__class__", cls)


def setting(layer: str, **attributes: Any) -> Plant:
    """Plants other values of the layer's attributes."""

    def plant(model: nnx.Module) -> None:
        for name, value in attributes.items():
            setattr(getattr(model, layer) if layer else model, name, value)

    return plant


def function(layer: str, replacement: Callable) -> Plant:
    """Plants another function in the layer's place."""
    return setting(layer, function=replacement)
