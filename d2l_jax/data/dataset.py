"""What every loader returns."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A data set in memory, split in two.

    Attributes:
      name: `"fashion_mnist"`, `"digits"`, `"houses"` ...; the folder's name where the data is unknown.
      train: X and y. Images: X uint8 (N, H, W, C), y int32 (N,). Tabular: X float32 (N, d), y float32 (N, 1).
      test: the same for the examples that are not trained on.
      source: where it was found, in words for the log.
      classes: the label names, in label order; empty where y is a number to predict.
    """

    name: str
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    source: str
    classes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line without the arrays' values."""
        shapes = f"train {self.train[0].shape}, test {self.test[0].shape} of {self.train[0].dtype}"
        return f"Dataset({self.name}: {shapes}; {self.source})"
