"""Initialisers that are in force in the book's models."""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


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


def zero_biases(model: nn.Module) -> None:
    """Sets the bias of every dense and convolutional layer to 0, in place."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def init_cnn(model: nn.Module) -> None:
    """Draws Xavier-uniform weights in every dense and convolutional layer (book, section 7.6); biases stay."""
    init_weights(model, nn.init.xavier_uniform_)


def init_normal(model: Module) -> Module:
    """Draws every parameter again from N(0, 0.02^2), in place (book, sections 20.1 and 20.2)."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0, 0.02)
    return model


def init_dcgan(model: Module) -> Module:
    """Draws weights from N(0, 0.02^2) and scales of batch normalisation from N(1, 0.02^2), in place; shifts are 0."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1, 0.02)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0, 0.02)
    return model
