"""Neural style transfer: the image is what learns (Gatys et al. 2016; book, section 14.12)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Images = Float[Tensor, "batch channels height width"]
Maps = tuple[Tensor, ...]
Scalar = Float[Tensor, ""]
STYLE_LAYERS = (0, 5, 10, 19, 28)
CONTENT_LAYERS = (25,)


class SynthesizedImage(nn.Module):
    """An image as a parameter, (1, 3, height, width); it starts from U(0, 1) (section 14.12)."""

    def __init__(self, height: int = 300, width: int = 450):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(1, 3, height, width))

    def forward(self) -> Images:
        return self.weight * 1


def extract_features(net: nn.Sequential, X: Images, layers: Sequence[int], in_place: bool = True) -> Maps:
    """Returns the outputs of the layers with these numbers, in their order (section 14.12).

    The network's ReLUs write over what is collected here; with `in_place` false a copy is collected.
    """
    outputs = {}
    for number, layer in enumerate(net):
        X = layer(X)
        if number in layers:
            outputs[number] = X if in_place else X.clone()
    return tuple(outputs[number] for number in layers)


def content_loss(Y_hat: Images, Y: Images) -> Scalar:
    """Mean squared difference of two layers' outputs (section 14.12)."""
    return ((Y_hat - Y) ** 2).mean()


def gram(X: Images) -> Float[Tensor, "channels channels"]:
    """Products of every two channels, summed over the pixels, over the number of values (section 14.12)."""
    values = X.transpose(0, 1).reshape(X.shape[1], -1)
    return values @ values.T / values.numel()


def style_loss(Y_hat: Images, gram_Y: Float[Tensor, "channels channels"]) -> Scalar:
    """Mean squared difference of a layer's Gram matrix from that of the style (section 14.12)."""
    return ((gram(Y_hat) - gram_Y) ** 2).mean()


def tv_loss(Y_hat: Images) -> Scalar:
    """Half the mean absolute differences of pixels below each other and beside each other (section 14.12)."""
    below = (Y_hat[:, :, 1:] - Y_hat[:, :, :-1]).abs()
    beside = (Y_hat[:, :, :, 1:] - Y_hat[:, :, :, :-1]).abs()
    return 0.5 * (below.mean() + beside.mean())


@dataclass(frozen=True)
class StyleTargets:
    """An evaluation: the features of the content and the Gram matrices of the style, which the image is led to."""

    content_layers: tuple[int, ...] = CONTENT_LAYERS
    style_layers: tuple[int, ...] = STYLE_LAYERS
    in_place: bool = True

    def __call__(self, nets: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Returns {"contents": maps of "content", "grams": matrices of "style"}."""
        contents = extract_features(nets["net"], tensors["content"], self.content_layers, self.in_place)
        styles = extract_features(nets["net"], tensors["style"], self.style_layers, self.in_place)
        return {"contents": contents, "grams": tuple(map(gram, styles))}


@dataclass(frozen=True)
class StyleTransfer:
    """An objective: how far the image is from the content and from the style, and how rough it is (section 14.12)."""

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
            with torch.no_grad():
                targets = StyleTargets(self.content_layers, self.style_layers, self.in_place)(nets, tensors)
        X = nets["image"]()
        maps = extract_features(nets["net"], X, (*self.content_layers, *self.style_layers), self.in_place)
        contents = maps[: len(self.content_layers)]
        styles = maps[len(self.content_layers) :]
        losses = {
            "content_loss": sum(map(content_loss, contents, targets["contents"])) * self.content_weight,
            "style_loss": sum(map(style_loss, styles, targets["grams"])) * self.style_weight,
            "tv_loss": tv_loss(X) * self.tv_weight,
        }
        return torch.stack(list(losses.values())).sum(), losses
