"""How the time and the memory of a check grow: multilayer perceptrons of several sizes, each in a fresh process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from flax import nnx

from d2l_jax import losses, nn
from parity.bench.check_times import Check, CheckTime, in_fresh_process
from parity.bench.scale import exponent
from parity.own_pair import check

FEATURES = 20
CLASSES = 10
Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class NetworkSize:
    """The size of a network and of its check.

    width:  units of each hidden layer
    layers: linear layers between the first and the last
    batch:  examples
    """

    width: int = 64
    layers: int = 4
    steps: int = 3
    batch: int = 16

    @property
    def widths(self) -> list[tuple[int, int]]:
        """Returns (inputs, outputs) of every linear layer."""
        sizes = [FEATURES, *[self.width] * (self.layers + 1), CLASSES]
        return list(zip(sizes, sizes[1:]))

    @property
    def parameters(self) -> int:
        return sum((inputs + 1) * outputs for inputs, outputs in self.widths)


BASE = NetworkSize()
SIZES: dict[str, tuple[NetworkSize, ...]] = {
    "parameters": tuple(replace(BASE, width=width) for width in (64, 192, 576, 1728)),
    "layers": tuple(replace(BASE, layers=layers) for layers in (4, 12, 36, 108)),
    "steps": tuple(replace(BASE, steps=steps) for steps in (3, 9, 27, 81)),
    "batch": tuple(replace(BASE, batch=batch) for batch in (16, 128, 1024, 8192)),
}


@dataclass(frozen=True)
class CheckGrowth:
    """The growth of a check along an axis: "parameters", "layers", "steps" or "batch".

    sizes: how large it was
    times: of each
    """

    axis: str
    sizes: tuple[int, ...]
    times: tuple[CheckTime, ...]

    @property
    def seconds(self) -> list[float]:
        """Returns the whole time at each size."""
        return [time.total for time in self.times]

    @property
    def memory(self) -> list[int]:
        """Returns by how many bytes the process grew at each size."""
        return [time.peak - time.before for time in self.times]

    @property
    def failed(self) -> bool:
        return any(time.status != "pass" for time in self.times)

    def slope(self, figures: Sequence[float | None]) -> float | None:
        """Returns the exponent with which the figures grow."""
        return exponent(self.sizes, figures)

    def end_slope(self, figures: Sequence[float | None]) -> float | None:
        """Returns the same between the last two sizes, where what is constant matters least."""
        return exponent(self.sizes[-2:], figures[-2:])


def check_growths(
    sizes: dict[str, tuple[NetworkSize, ...]] | None = None, progress: Progress = lambda name, stage: None
) -> list[CheckGrowth]:
    """Checks a network of each size, one axis after the other; a size that several axes share once."""
    axes = sizes or SIZES
    times: dict[NetworkSize, CheckTime] = {}
    for axis, along in axes.items():
        for size in along:
            if size not in times:
                progress(axis, f"checking {value(axis, size):,}")
                times[size] = in_fresh_process(f"{axis} {value(axis, size)}", partial(ready, size))
    return [
        CheckGrowth(axis, tuple(value(axis, size) for size in along), tuple(times[size] for size in along))
        for axis, along in axes.items()
    ]


def value(axis: str, size: NetworkSize) -> int:
    """Returns how large it is along the axis."""
    return getattr(size, axis)


def ready(size: NetworkSize) -> Check:
    """Returns the check of a network of that size against its twin in PyTorch."""
    inputs = np.random.default_rng(0).normal(size=(size.batch, FEATURES)).astype(np.float32)
    pair = (flax_network(size), torch_network(size), inputs)
    return partial(check, *pair, loss=losses.cross_entropy, outputs="scores", steps=size.steps)


def flax_network(size: NetworkSize) -> nnx.Module:
    """Returns linear layers with ReLU between them."""
    rngs = nnx.Rngs(0)
    parts = [part for pair in size.widths for part in (nnx.Linear(*pair, rngs=rngs), nnx.relu)]
    return nn.Sequential(*parts[:-1])


def torch_network(size: NetworkSize) -> torch.nn.Module:
    """Returns its twin."""
    parts = [part for pair in size.widths for part in (torch.nn.Linear(*pair), torch.nn.ReLU())]
    return torch.nn.Sequential(*parts[:-1])
