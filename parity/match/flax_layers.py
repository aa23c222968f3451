"""Flax's layers as `around` meets them: their variables and the places of these in the plain dicts."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flax import linen, nnx

from d2l_jax.weights.leaf import flatten
from parity.models.calls import Path
from parity.models.cutting import Piece
from parity.models.flax_model import FlaxModel
from parity.models.linen_model import LinenModel

RECURRENT = (nnx.RNN, linen.RNN)
CELLS = (nnx.RNNCellBase, linen.RNNCellBase)
ATTENTION = (nnx.MultiHeadAttention, linen.MultiHeadDotProductAttention)
NORMALISING = (linen.WeightNorm, linen.SpectralNorm)  # what they normalise are the variables of another layer
NORMS = tuple(
    getattr(flax, name)
    for flax in (linen, nnx)
    for name in ("BatchNorm", "LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm")
    if hasattr(flax, name)
)
WHOLE = (*RECURRENT, *CELLS, *ATTENTION)  # matched with the variables of their submodules


@dataclass(frozen=True)
class Variable:
    """A variable: `local` within its layer, `path` in params or buffers."""

    local: Path
    path: Path
    trained: bool
    shape: tuple[int, ...]
    dtype: Any

    @property
    def size(self) -> int:
        """Returns how many numbers it has."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class FlaxLayer:
    """A layer of Flax's.

    path:   of the module
    module: None if it was not called
    holds:  modules within it have variables too
    """

    path: Path
    kind: type
    module: Any
    variables: tuple[Variable, ...]
    holds: bool

    @property
    def whole(self) -> bool:
        return issubclass(self.kind, WHOLE)


class Variables:
    """Every variable of a model but random keys, and which of them a module owns."""

    def __init__(self, model: FlaxModel, inputs: tuple):
        self.model = model
        if isinstance(model, LinenModel):
            triples = [(path, True, value) for path, value in flatten(model.params)]
            triples += [(path, False, value) for path, value in flatten(model.buffers)]
            self.owners: dict[Path, type] = {}
            self.all = {path: Variable(path[-1:], path, t, np.shape(v), v.dtype) for path, t, v in triples}
        else:
            tensors = list(model.tensors(inputs))
            self.owners = {tensor.path: tensor.kind for tensor in tensors}
            self.all = {t.path: Variable(t.path[-1:], t.path, t.trained, t.shape, t.dtype) for t in tensors}
        self._parts: frozenset[Path] = getattr(model, "parts", frozenset())
        self.promised: frozenset[str] = getattr(model, "promised", frozenset())  # PyTorch's, to these parts
        self.pieces: dict[Path, Piece] = getattr(model, "pieces", {})
        self._by_id: dict[int, Any] = {}
        self.attentions = 0  # of Flax's own, of an NNX model

    def enter(self, root: Any) -> None:
        """Starts a run with the module `root`, whose variables stand for the model's."""
        if isinstance(root, nnx.Module):
            nodes = list(nnx.iter_graph(root))
            self._by_id = {id(node): path for path, node in nodes if isinstance(node, nnx.Variable)}
            self.attentions = sum(isinstance(node, ATTENTION) for _, node in nodes)

    def layer(self, path: Path, module: Any, *, deep: bool = False) -> FlaxLayer:
        """The layer of a module; `deep` adds the variables of all modules within it."""
        below = self._linen(path, module) if isinstance(module, linen.Module) else self._nnx(path, module)
        direct = [variable for variable in below if len(variable.local) == 1]
        if any(part[:-1] == path for part in self._parts):
            direct = []  # what is left of a module whose other arrays are several layers' is no layer
        variables = below if deep or isinstance(module, WHOLE) else direct
        return FlaxLayer(path, type(module), module, tuple(variables), len(direct) < len(below))

    def _nnx(self, path: Path, module: Any) -> list[Variable]:
        if isinstance(module, RECURRENT):
            module = module.cell
        nodes: list[tuple[Any, Any]] = list(nnx.iter_graph(module))
        modules = {path for path, node in nodes if path and _plain(node)}
        variables = []
        for local, node in nodes:
            place = self._by_id.get(id(node), (*path, *local))  # the latter of a layer that a scan made of its parts
            known = self.all.get(place) if isinstance(node, nnx.Variable) else None
            if known:
                # A list of parameters is no module.
                start = max((end for end in range(len(local)) if local[:end] in modules), default=0)
                local = local if start else (".".join(map(str, local)),)
                variables.append(replace(known, local=local))
        return variables

    def _linen(self, path: Path, module: linen.Module) -> list[Variable]:
        roots = [path]
        if isinstance(module, linen.RNN):
            roots = [module.cell.path]  # it may stand beside the module that runs it
        variables = []
        for variable in (v for v in self.all.values() if v.path not in self._parts):
            place = variable.path if variable.trained else variable.path[1:]
            for root in roots:
                if place[: len(root)] == root:
                    variables.append(replace(variable, local=place[len(root) :]))
        return variables


def _plain(node: Any) -> bool:
    return isinstance(node, nnx.Module) and not isinstance(node, nnx.List | nnx.Dict)
