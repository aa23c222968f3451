"""Recurrent layers whose tensors Flax keeps in dense layers of a larger module: one for inputs, one for the state."""

import itertools
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from d2l_jax.weights.leaf import Leaf
from parity.match.fitting import Fit, alike, fit
from parity.match.flax_layers import FlaxLayer, Variable
from parity.match.recurrent import foreign_biases, kind_of
from parity.match.torch_layers import TorchLayer
from parity.models.calls import Path

CALLED = {"ih": ("x", "ih", "i2h", "input"), "hh": ("h", "hh", "h2h", "hidden", "recurrent")}
BACKWARD = ("back", "bwd", "bw", "rev")
MOST = 300  # sets of dense layers that are tried for one recurrent layer


def spread_fit(
    layer: TorchLayer, arrays: Mapping[str, np.ndarray], left: Iterable[Variable], free: Collection[str]
) -> Fit | None:
    """Returns how a recurrent layer is made of dense layers whose variables have no counterpart yet.

    free: keys of PyTorch's tensors without one
    """
    if not kind_of(layer.module) or not set(layer.tensors.values()) <= set(free):
        return None
    weights = [shape for name, shape in layer.shapes(dict(arrays)).items() if name.startswith("weight_")]
    owners: dict[Path, list[Variable]] = {}
    for variable in left:
        owners.setdefault(variable.path[:-1], []).append(variable)
    dense = [path for path, owned in owners.items() if _is_dense(owned, weights)]
    fits = []
    for paths in itertools.islice(itertools.combinations(dense, len(weights)), MOST):
        owned = [variable for path in paths for variable in owners[path]]
        around = tuple(os.path.commonprefix(list(paths)))
        variables = tuple(replace(variable, local=variable.path[len(around) :]) for variable in owned)
        found = fit(layer, dict(arrays), FlaxLayer(around, object, None, variables, False))
        if found and not found.missing:
            fits.append(replace(found, alternatives=sorted(found.alternatives, key=_order)))
    return max(fits, key=lambda found: _preference(layer, found.alternatives[0]), default=None)


def _preference(layer: TorchLayer, leaves: list[Leaf]) -> tuple[float, int, bool]:
    """Returns how well names agree; among equals, how much of their paths the dense layers share: one cell has them.

    And whether names say of the direction what PyTorch's layer reads in.
    """
    shared = len(os.path.commonprefix([leaf.path[:-1] for leaf in leaves]))
    names = [str(name).lower() for leaf in leaves for name in leaf.path]
    return _likeness(leaves), shared, layer.backward == any(name.startswith(BACKWARD) for name in names)


def _is_dense(owned: list[Variable], weights: list[tuple[int, ...]]) -> bool:
    kernels = [variable.shape for variable in owned if len(variable.shape) == 2]
    return len(kernels) == 1 and len(owned) <= 2 and (kernels[0] in weights or kernels[0][::-1] in weights)


def _order(leaves: list[Leaf]) -> tuple[int, float]:
    return _oddity(leaves), -_likeness(leaves)


def _oddity(leaves: list[Leaf]) -> int:
    """Counts kernels that are not (inputs, outputs), and biases that stand beside another layer's kernel."""
    turned = sum(len(leaf.shape) == 2 and leaf.axes != (1, 0) for leaf in leaves)
    return turned + foreign_biases(leaves)


def _likeness(leaves: list[Leaf]) -> float:
    """Returns how well the names of the dense layers tell inputs from the state."""
    kernels = [(leaf.key.split("weight_")[-1][:2], str(leaf.path[-2])) for leaf in leaves if len(leaf.shape) == 2]
    return sum(max(alike(own, name) for name in CALLED.get(side, (side,))) for side, own in kernels)
