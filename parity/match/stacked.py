"""Layers that Flax keeps stacked in one array, as `nn.scan` and `nnx.vmap` do, and PyTorch one by one."""

import math
from collections.abc import Iterable, Iterator, Mapping

from parity.match.apart import families
from parity.match.flax_layers import Variable

Shape = tuple[int, ...]


def stacked(variables: Iterable[Variable], shapes: Mapping[str, Shape]) -> Iterator[str]:
    """Yields a line where an array without a partner has the size of several tensors whose names differ in a number.

    shapes: of PyTorch's tensors without a partner
    """
    sizes = {name: [math.prod(shapes[key]) for key in keys] for name, keys in families(shapes).items()}
    for variable in variables:
        for name, each in sizes.items():
            count = len(each)
            stack = count > 1 and len(variable.shape) > 1 and variable.shape[0] == count and len(set(each)) == 1
            if stack and variable.size == sum(each):
                path = ".".join(map(str, variable.path))
                yield (
                    f"Flax keeps {count} layers in one array, {path} {variable.shape}, as scans over layers do,"
                    f" and PyTorch one by one ({name.replace('#', '0')} and so on): a Flax model that calls its layers"
                    " one by one can be compared, with these arrays taken apart along their first axis"
                )
                return
