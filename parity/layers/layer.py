"""A call that both models make, and what either side makes of it."""

from dataclasses import dataclass, field

from parity.layers.calls import FlaxCall
from parity.models.calls import TorchCall
from parity.sides.torch import Record


@dataclass
class Layer:
    """A call that both models make.

    oracle, flax: what either side makes of PyTorch's inputs and cotangents, {"forward/output": array}
    """

    label: str
    theirs: TorchCall
    ours: FlaxCall
    oracle: Record = field(default_factory=dict)
    flax: Record = field(default_factory=dict)
