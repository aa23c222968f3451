"""Neural style transfer: the image is what learns (Gatys et al. 2016; book, section 14.12)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.losses.absolute import absolute

Images = Float[Array, "batch height width channels"]
Maps = tuple[Array, ...]
Scalar = Float[Array, ""]
STYLE_LAYERS = (0, 5, 10, 19, 28)
CONTENT_LAYERS = (25,)


class SynthesizedImage(nnx.Module):
    """An image as a parameter, (1, height, width, 3); it starts from U(0, 1) (section 14.12)."""

    weight_rule = {"weight": ("weight", "channels_first")}

    def __init__(self, height: int = 300, width: int = 450, *, rngs: nnx.Rngs):
        self.weight = nnx.Param(jax.random.uniform(rngs.params(), (1, height, width, 3), jnp.float32))

    def __call__(self) -> Images:
        return self.weight[...]


def extract_features(net: nn.Sequential, X: Images, layers: Sequence[int], in_place: bool = True) -> Maps:
    """Returns the outputs of the layers with these numbers, in their order (section 14.12).

    in_place: torchvision's ReLUs write over their inputs, so that what the section collects at a convolution has gone
        through the ReLU behind it by the time it is used; False gives the convolutions' own outputs. A layer with no
        ReLU behind it, as the last, is the same in both.
    """
    outputs = {}
    for number, layer in enumerate(net):
        X = layer(X)
        outputs[number] = X
        if in_place and layer is nnx.relu:
            outputs[number - 1] = X
    return tuple(outputs[number] for number in layers)


def content_loss(Y_hat: Images, Y: Images) -> Scalar:
    """Mean squared difference of two layers' outputs (section 14.12)."""
    return jnp.mean((Y_hat - Y) ** 2)


def gram(X: Images) -> Float[Array, "channels channels"]:
    """Products of every two channels, summed over the pixels, over the number of values (section 14.12)."""
    values = X.reshape(-1, X.shape[-1])
    return values.T @ values / values.size


def style_loss(Y_hat: Images, gram_Y: Float[Array, "channels channels"]) -> Scalar:
    """Mean squared difference of a layer's Gram matrix from that of the style (section 14.12)."""
    return jnp.mean((gram(Y_hat) - gram_Y) ** 2)


def tv_loss(Y_hat: Images) -> Scalar:
    """Half the mean absolute differences of pixels below each other and beside each other (section 14.12)."""
    below = absolute(Y_hat[:, 1:] - Y_hat[:, :-1])
    across = absolute(Y_hat[:, :, 1:] - Y_hat[:, :, :-1])
    return 0.5 * (jnp.mean(below) + jnp.mean(across))


@dataclass(frozen=True)
class StyleTargets:
    """An evaluation: the features of the content and the Gram matrices of the style, which the image is led to.

    The members are those of `StyleTransfer`.
    """

    content_layers: tuple[int, ...] = CONTENT_LAYERS
    style_layers: tuple[int, ...] = STYLE_LAYERS
    in_place: bool = True

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Returns {"contents": maps of "content", "grams": matrices of "style"}, images (1, height, width, 3)."""
        contents = extract_features(nets["net"], tensors["content"], self.content_layers, self.in_place)
        styles = extract_features(nets["net"], tensors["style"], self.style_layers, self.in_place)
        return {"contents": contents, "grams": tuple(map(gram, styles))}


@dataclass(frozen=True)
class StyleTransfer:
    """An objective: how far the image is from the content and from the style, and how rough it is (section 14.12).

    nets:    "image", which learns, and "net", the fixed extractor
    tensors: "contents" and "grams" as `StyleTargets` gives them; or the images "content" and "style" themselves
    content_layers, style_layers: numbers of layers of the extractor
    content_weight, style_weight, tv_weight: factors of the three losses
    in_place: see `extract_features`
    """

    content_layers: tuple[int, ...] = CONTENT_LAYERS
    style_layers: tuple[int, ...] = STYLE_LAYERS
    content_weight: float = 1.0
    style_weight: float = 1e4
    tv_weight: float = 10.0
    in_place: bool = True

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> tuple[Scalar, dict[str, Any]]:
        """Returns (weighted sum, {"content_loss", "style_loss", "tv_loss": with their weights})."""
        targets = tensors
        if "contents" not in tensors:
            targets = StyleTargets(self.content_layers, self.style_layers, self.in_place)(nets, tensors)
            targets = jax.lax.stop_gradient(targets)
        X = nets["image"]()
        maps = extract_features(nets["net"], X, (*self.content_layers, *self.style_layers), self.in_place)
        contents = maps[: len(self.content_layers)]
        styles = maps[len(self.content_layers) :]
        losses = {
            "content_loss": _total(map(content_loss, contents, targets["contents"])) * self.content_weight,
            "style_loss": _total(map(style_loss, styles, targets["grams"])) * self.style_weight,
            "tv_loss": tv_loss(X) * self.tv_weight,
        }
        return _total(losses.values()), losses


def _total(values: Any) -> Scalar:
    first, *rest = values
    for value in rest:
        first = first + value
    return first


def draw_pictures(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws noise as "content" and "style", float32 (1, 37, 46, 3) and (1, 41, 35, 3), for the check."""
    shapes = {"content": (1, 37, 46, 3), "style": (1, 41, 35, 3)}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
