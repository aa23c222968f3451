"""The data set in memory that every loader returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from d2l_jax.data.text.vocab import Vocab

Split = tuple[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A data set in memory, split in two.

    Attributes:
      name: `"fashion_mnist"`, `"digits"`, `"houses"` ...; the folder's name where the data is unknown.
      train: X and y; either is a tuple of arrays where a model or a loss takes several.
        Images: X uint8 (N, H, W, C), y int32 (N,). Tabular: X float32 (N, d), y float32 (N, 1).
        Text: X int32 (N, steps), y int32 (N, steps). Translation: X = (source int32 (N, steps), decoder
        input int32 (N, steps), valid source tokens int32 (N,)), y int32 (N, steps).
        Reviews: X int32 (N, steps), y int32 (N,). Inference: X = (premises int32 (N, steps), hypotheses int32
        (N, steps)), y int32 (N,). Ratings, rankings and clicks: `d2l_jax.data.ratings`.
        Segmentation: X float32 (N, H, W, 3), normalised, y int32 (N, H, W), 255 where a pixel does not count.
      test: X and y of the examples that are not trained on, in the same shapes.
      source: where the data comes from, in words for the log.
      classes: the label names, in label order; empty where y is a number to predict.
      vocabs: the vocabulary of a text; those of source and target of a translation; else empty.
      sizes: (height, width) in pixels of training images that differ in size, int32 (N, 2): each stands at the top
        left of its array. None where every image fills its array.
      palette: of a segmentation, the colour of each class, uint8 (classes, 3).
      form: the kind of data where the arrays do not tell it, as `"words"`; else empty.
      rows: of ratings, the numbers of users and items; of clicks, how many values each field has; else empty.
      pool: of a ranking, the items that a user has not rated, int32 (users, widest), -1 behind them; else None.
      titles: of the items of ratings, by their numbers; else empty.
      widths: of texts in buckets, the steps of each, one of a few, in training and in test, int32 (N,); else None.
      redraw: number of an epoch -> the examples to train on in that epoch, where they are drawn anew; else None.
    """

    name: str
    train: Split
    test: Split
    source: str
    classes: tuple[str, ...] = ()
    vocabs: tuple[Vocab, ...] = ()
    sizes: np.ndarray | None = None
    palette: np.ndarray | None = None
    form: str = ""
    redraw: Callable[[int], Split] | None = None
    rows: tuple[int, ...] = ()
    pool: np.ndarray | None = None
    titles: tuple[str, ...] = ()
    widths: tuple[np.ndarray, np.ndarray] | None = None

    def of_epoch(self, epoch: int) -> Split:
        """Returns the examples to train on in that epoch: the same for the same number."""
        return self.train if self.redraw is None else self.redraw(epoch)

    @property
    def examples(self) -> int:
        """The number of examples to train on."""
        return len(_as_tuple(self.train[1])[0])

    @property
    def held_out(self) -> int:
        """The number of examples to test on."""
        return len(_as_tuple(self.test[1])[0])

    @property
    def kind(self) -> str:
        """The kind: `form`, `"image"`, `"boxes"`, `"segmentation"`, `"tabular"`, `"text"` or `"translation"`."""
        if self.form:
            return self.form
        if self.vocabs:
            return "text" if len(self.vocabs) == 1 else "translation"
        if self.palette is not None:
            return "segmentation"
        if self.train[0].ndim == 4:
            return "boxes" if self.train[1].ndim == 3 else "image"
        return "tabular"

    def __repr__(self) -> str:
        """Name, shapes, dtype and source in a single line, without the values."""
        first, *_ = _as_tuple(self.train[0])
        shapes = f"train {_shapes(self.train)}, test {_shapes(self.test)} of {first.dtype}"
        return f"Dataset({self.name}: {shapes}; {self.source})"


def _as_tuple(arrays: Any) -> tuple[np.ndarray, ...]:
    return arrays if isinstance(arrays, tuple) else (arrays,)


def _shapes(split: Split) -> str:
    return " ".join(str(array.shape) for array in _as_tuple(split[0]))
