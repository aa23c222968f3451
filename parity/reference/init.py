"""Initialisers that are in force in the book's models."""

from collections.abc import Callable

from torch import Tensor, nn


def init_tables(model: nn.Module, init: Callable[[Tensor], Tensor]) -> None:
    """Draws every table of an Embedding again, in place."""
    for layer in model.modules():
        if isinstance(layer, nn.Embedding):
            init(layer.weight)


def init_weights(model: nn.Module, init: Callable[[Tensor], Tensor]) -> None:
    """Draws the weight of every dense and convolutional layer again, in place; biases stay."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            init(layer.weight)


def init_cnn(model: nn.Module) -> None:
    """Draws Xavier-uniform weights in every dense and convolutional layer (book, section 7.6); biases stay."""
    init_weights(model, nn.init.xavier_uniform_)
