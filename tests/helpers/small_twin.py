"""The small pair as a twin, its states along PyTorch's steps, and mistakes to plant in Flax's model."""

import numpy as np
from flax import nnx
from small_pair import INPUTS, TRAINING, SmallTorch, small

from parity.environment import jax_device
from parity.sides.flax import FlaxRun
from parity.sides.torch import TorchRun
from parity.twin.learning import Learning
from parity.twin.of_pair import twin_of_pair
from parity.twin.twin import Twin

CPU = jax_device("cpu")


def small_twin(model: nnx.Module | None = None, steps: int = 2) -> Twin:
    """The twin of the small pair, or of another Flax model and PyTorch's small one."""
    learning = Learning(TRAINING["loss"], TRAINING["optimizer"])
    return twin_of_pair(model or small(), SmallTorch(), (INPUTS,), learning=learning, labels=True, steps=steps)


def flax_run(twin: Twin, dtype: str = "float64") -> FlaxRun:
    return FlaxRun(twin, dtype, CPU)


def torch_run(twin: Twin, dtype: str = "float64") -> TorchRun:
    return TorchRun(twin, dtype, "cpu")


def planted(layer: str, cls: type) -> nnx.Module:
    """The small model with a layer of another class."""
    model = small()
    getattr(model, layer).__class__ = cls
    return model


def apart(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> dict[str, float]:
    """The largest difference of each array, relative to its largest value."""
    assert left.keys() == right.keys()
    scale = {key: max(1e-300, float(np.max(np.abs(array), initial=0))) for key, array in left.items()}
    return {key: float(np.max(np.abs(left[key] - right[key]), initial=0)) / scale[key] for key in left}
