"""Initialisers: the ones that are in force in the book's models."""

from torch import nn


def init_cnn(model: nn.Module) -> None:
    """Xavier-uniform weights (Glorot and Bengio 2010; book, section 7.6); biases stay."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
