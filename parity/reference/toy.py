"""Functions of the plane on which gradient descent is watched (book, sections 12.3 to 12.8)."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Point(nn.Module):
    """A point of the plane that descends; it starts at (-5, -2) (section 12.3)."""

    def __init__(self, start: tuple[float, float] = (-5.0, -2.0)):
        super().__init__()
        self.x = nn.Parameter(torch.tensor(start))

    def forward(self) -> Float[Tensor, " 2"]:
        return self.x * 1


def valley(
    nets: nn.Module, tensors: dict[str, Any], curvatures: tuple[float, float] = (1.0, 2.0)
) -> tuple[Tensor, dict[str, Any]]:
    """Returns x1^2 + 2 x2^2 at the point, or with other curvatures, and the point; there are no inputs."""
    x = nets()
    return curvatures[0] * x[0] ** 2 + curvatures[1] * x[1] ** 2, {"x": x}


def height(nets: nn.Module, tensors: dict[str, Any], curvatures: tuple[float, float] = (1.0, 2.0)) -> dict[str, Any]:
    """Returns the point, and the valley's height there."""
    value, more = valley(nets, tensors, curvatures)
    return more | {"height": value}
