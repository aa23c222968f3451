"""Functions of the plane on which gradient descent is watched (book, sections 12.3 to 12.8)."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class Point(nnx.Module):
    """A point of the plane that descends; it starts at (-5, -2) (section 12.3)."""

    def __init__(self, start: tuple[float, float] = (-5.0, -2.0), *, rngs: nnx.Rngs):
        self.x = nnx.Param(jnp.array(start, jnp.float32))

    def __call__(self) -> Float[Array, " 2"]:
        return self.x[...]


def valley(
    nets: Any, tensors: dict[str, Any], curvatures: tuple[float, float] = (1.0, 2.0)
) -> tuple[Array, dict[str, Any]]:
    """Returns x1^2 + 2 x2^2 at the point, or with other curvatures, and the point; there are no inputs."""
    x = nets()
    return curvatures[0] * x[0] ** 2 + curvatures[1] * x[1] ** 2, {"x": x}


def height(nets: Any, tensors: dict[str, Any], curvatures: tuple[float, float] = (1.0, 2.0)) -> dict[str, Any]:
    """Returns the point, and the valley's height there."""
    value, more = valley(nets, tensors, curvatures)
    return more | {"height": value}
