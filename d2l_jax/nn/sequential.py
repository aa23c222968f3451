"""A chain of layers with PyTorch's child names."""

from collections.abc import Callable, Iterator
from typing import Any

from flax import nnx
from jaxtyping import Array, Float


class Sequential(nnx.Module):
    """Calls its layers one after the other (book, section 6.1).

    Unlike `nnx.Sequential`, which keeps a list, the children are attributes called "0", "1", ...
    or by keyword, so that a weight's path is its PyTorch name: `net.0.weight`, `net.b2.1.conv1.weight`.
    A layer is a module or any function of one array.
    """

    def __init__(self, *layers: Callable, **named_layers: Callable):
        children = {str(i): layer for i, layer in enumerate(layers)} | named_layers
        for name, layer in children.items():
            setattr(self, name, layer)
        self.names = tuple(children)

    def __call__(self, x: Float[Array, "batch *features"]) -> Float[Array, "*outputs"]:
        for layer in self:
            x = layer(x)
        return x

    def __iter__(self) -> Iterator[Callable]:
        return (getattr(self, name) for name in self.names)

    def __getitem__(self, index: int) -> Any:
        return getattr(self, self.names[index])

    def __len__(self) -> int:
        return len(self.names)
