"""The golden values of chapter 20, and the fillings with which they were made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

FACTS = json.loads((Path(__file__).parent.parent / "d2l_jax" / "facts" / "gan.json").read_text())


def golden(name: str) -> Any:
    return FACTS["golden"][name]["values"]


def pattern(*shape: int, s: float = 1.0, o: int = 0) -> np.ndarray:
    """Returns the array `pat(shape, s, o)` of the facts, in PyTorch's layout."""
    i = np.arange(np.prod(shape), dtype=np.int64)
    return (s * (2 * ((13 * i**2 + 541 * i + 97 * o + 5) % 601) / 600 - 1)).reshape(shape)


def filled(model: torch.nn.Module, s: float = 0.3) -> torch.nn.Module:
    """Fills every parameter of a model in float64 by the formula of the facts."""
    model = model.double()
    with torch.no_grad():
        for k, parameter in enumerate(model.parameters()):
            i = np.arange(parameter.numel(), dtype=np.int64)
            values = s * (2 * ((31 * i**2 + 7919 * i + 1301 * k + 17) % 1009) / 1008 - 1)
            parameter.copy_(torch.tensor(values).reshape(parameter.shape))
    return model
