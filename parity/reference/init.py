"""Initialisers that are in force in the book's models."""

from torch import nn


def init_cnn(model: nn.Module) -> None:
    """Draws Xavier-uniform weights in every dense and convolutional layer (book, section 7.6); biases stay."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
