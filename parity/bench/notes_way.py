"""A whole training as study notes write it in PyTorch, in a process that has never heard of JAX.

`python -m parity.bench.notes_way FOLDER` reads `recipe.pickle` and `data.npz` there, and prints the accuracy.
"""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader

from parity.bench.items import Items


class Recipe(NamedTuple):
    """The recipe by which a classifier is trained.

    model:     () -> the module
    loss:      (scores, labels) -> the mean loss
    optimizer: parameters -> the optimiser
    """

    model: Callable[[], torch.nn.Module]
    loss: Callable[[Any, Any], Any]
    optimizer: Callable[[Any], torch.optim.Optimizer]
    batch_size: int
    epochs: int
    resize: tuple[int, int] | None
    workers: int
    threads: int


def train(recipe: Recipe, data: dict[str, np.ndarray]) -> float:
    """Trains and, after each epoch, evaluates; returns the last accuracy on the test split."""
    torch.set_num_threads(recipe.threads)
    model = recipe.model()
    optimizer = recipe.optimizer(model.parameters())
    accuracy = 0.0
    for _ in range(recipe.epochs):
        model.train()
        for X, y in _loader(recipe, data["X"], data["y"], shuffle=True):
            optimizer.zero_grad()
            recipe.loss(model(X), y).backward()
            optimizer.step()
        accuracy = evaluate(model, _loader(recipe, data["X_test"], data["y_test"], shuffle=False))
    return accuracy


def evaluate(model: torch.nn.Module, loader: DataLoader) -> float:
    """The share of right labels."""
    model.eval()
    right = total = 0
    with torch.no_grad():
        for X, y in loader:
            right += int((model(X).argmax(-1) == y).sum())
            total += len(y)
    return right / total


def _loader(recipe: Recipe, X: np.ndarray, y: np.ndarray, shuffle: bool) -> DataLoader:
    """A timeout turns a worker that hangs into an error."""
    items = Items(X, y, recipe.resize)
    workers = recipe.workers
    return DataLoader(items, recipe.batch_size, shuffle=shuffle, num_workers=workers, timeout=60 if workers else 0)


def main(folder: Path) -> None:
    """Prints the accuracy. The recipe is the parent's own file of a moment ago."""
    with open(folder / "recipe.pickle", "rb") as file:
        recipe = Recipe(**pickle.load(file))
    print(train(recipe, dict(np.load(folder / "data.npz"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
