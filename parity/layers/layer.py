"""A call that both models make, and what either side makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from parity.arrays.key import Arrays, Key, Phase, Record
from parity.layers.calls import FlaxCall
from parity.layers.ports import Ports
from parity.models.calls import TorchCall


@dataclass
class Layer:
    """A call that both models make.

    oracle, flax: what either side makes of PyTorch's inputs and cotangents
    padding:      see `masked_outside`
    ports:        how arguments and results of the two belong together; set where they do
    """

    label: str
    theirs: TorchCall
    ours: FlaxCall
    oracle: Record = field(default_factory=dict)
    flax: Record = field(default_factory=dict)
    padding: Mapping[str, int] = field(default_factory=dict)
    ports: Ports = field(init=False)

    def record(self, phase: Phase, arrays: Arrays) -> Record:
        """Returns the arrays of one phase under this layer's keys; names of tensors are the layer's own."""
        inside = f"{self.theirs.name}."
        return {Key(1, phase, name.removeprefix(inside), layer=self.label): a for name, a in arrays.items()}
