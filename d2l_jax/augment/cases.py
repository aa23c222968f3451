"""The changes of a case's images: in training from a run's seed and the number of the step, and in tests."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Int

from d2l_jax.augment.crops import RandomResizedCrop
from d2l_jax.augment.fixed import Normalize
from d2l_jax.augment.geometry import Size
from d2l_jax.augment.transform import Compose, Transform

Tensors = dict[str, Any]
Prepare = Callable[[Int[Array, ""] | int, Tensors], Tensors]


class Augment(NamedTuple):
    """Changes of images before a model sees them.

    train: of those that it learns from, anew in every epoch
    test:  of those that it is tested on; nothing in it is random
    """

    train: Transform
    test: Transform

    def to(self, size: Size) -> "Augment":
        """Returns the same with crops of another size."""
        return Augment(_cropped_to(self.train, size), self.test)

    @property
    def seen(self) -> Transform:
        """Returns the training's changes without normalisation: images that can be looked at."""
        parts = self.train.transforms if isinstance(self.train, Compose) else (self.train,)
        return Compose(*(each for each in parts if not isinstance(each, Normalize)))

    def training(self, seed: int) -> Prepare:
        """Returns (number of the step, batch) -> the batch that is learned from, a pure function.

        The batch's "input" is images, and its "sizes", where it has them, tell how much of their arrays they fill.
        """
        key = jax.random.key(seed)

        def prepare(step: Int[Array, ""] | int, batch: Tensors) -> Tensors:
            images = self.train(jax.random.fold_in(key, step), batch["input"], batch.get("sizes"))
            return {name: value for name, value in batch.items() if name != "sizes"} | {"input": images}

        return prepare

    def testing(self, step: Int[Array, ""] | int, batch: Tensors) -> Tensors:
        """Returns the batch that a model is tested on, whichever step it is."""
        return batch | {"input": self.test(jax.random.key(0), batch["input"])}


def _cropped_to(transform: Transform, size: Size) -> Transform:
    if isinstance(transform, Compose):
        return Compose(*(_cropped_to(each, size) for each in transform.transforms))
    return replace(transform, to=size) if isinstance(transform, RandomResizedCrop) else transform
