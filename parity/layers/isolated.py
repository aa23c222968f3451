"""What isolation finds."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from parity.compare.rows import Row
from parity.layers.layer import Layer
from parity.layers.received import Received
from parity.models.calls import TorchCall


class Unfit(NamedTuple):
    """A call of PyTorch's whose results have other shapes than Flax's, which are `results`."""

    label: str
    call: TorchCall
    why: str
    results: tuple[tuple[int, ...], ...]


@dataclass
class Isolated:
    """The findings of isolation.

    skipped:  {label: why the two calls cannot be compared}
    unfit:    those of them whose results differ in shape
    received: in the order of the calls; with `containers` alone
    """

    rows: list[Row] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    unfit: list[Unfit] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    def without(self, labels: Collection[str], why: str) -> "Isolated":
        """Returns the findings but for layers whose calls do not hold the same part of the model."""
        return replace(
            self,
            rows=[row for row in self.rows if row.key.layer not in labels],
            layers=[layer for layer in self.layers if layer.label not in labels],
            skipped=self.skipped | dict.fromkeys(labels, why),
        )
