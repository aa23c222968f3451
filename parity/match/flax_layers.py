"""Flax's layers as `around` meets them: their variables and where these stand in the plain dicts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from flax import linen, nnx

from parity.models.calls import Path
from parity.models.flax_model import FlaxModel, LinenModel
from parity.weights.rules import flatten

RECURRENT = (nnx.RNN, linen.RNN)
CELLS = (nnx.RNNCellBase, linen.RNNCellBase)
ATTENTION = (nnx.MultiHeadAttention, linen.MultiHeadDotProductAttention)
WHOLE = (*RECURRENT, *CELLS, *ATTENTION)  # matched with the variables of their submodules


@dataclass(frozen=True)
class Own:
    """A variable: `local` within its layer, `path` in params or buffers."""

    local: Path
    path: Path
    trained: bool
    shape: tuple[int, ...]
    dtype: Any


@dataclass(frozen=True)
class FlaxLayer:
    """path: of the module; holds: whether modules within it own variables too; module: None if it was not called."""

    path: Path
    kind: type
    module: Any
    own: tuple[Own, ...]
    holds: bool

    @property
    def whole(self) -> bool:
        return issubclass(self.kind, WHOLE)


class Variables:
    """Every variable of a model but random keys, and which of them a module owns."""

    def __init__(self, model: FlaxModel, inputs: tuple):
        self.model = model
        if isinstance(model, LinenModel):
            found = [(path, True, value) for path, value in flatten(model.params)]
            found += [(path, False, value) for path, value in flatten(model.buffers)]
            self.owners: dict[Path, type] = {}
            self.all = {path: Own(path[-1:], path, t, np.shape(v), v.dtype) for path, t, v in found}
        else:
            tensors = list(model.tensors(inputs))
            self.owners = {tensor.path: tensor.kind for tensor in tensors}
            self.all = {t.path: Own(t.path[-1:], t.path, t.trained, t.shape, t.dtype) for t in tensors}
        self._by_id: dict[int, Any] = {}

    def enter(self, root: Any) -> None:
        """A run starts with the module `root`, whose variables stand for the model's."""
        if isinstance(root, nnx.Module):
            self._by_id = {id(node): path for path, node in nnx.iter_graph(root) if isinstance(node, nnx.Variable)}

    def layer(self, path: Path, module: Any, *, deep: bool = False) -> FlaxLayer:
        """`deep`: with the variables of all modules within it."""
        found = self._linen(path, module) if isinstance(module, linen.Module) else self._nnx(module)
        direct = [own for own in found if len(own.local) == 1]
        own = found if deep or isinstance(module, WHOLE) else direct
        return FlaxLayer(path, type(module), module, tuple(own), len(direct) < len(found))

    def _nnx(self, module: Any) -> list[Own]:
        if isinstance(module, RECURRENT):
            module = module.cell
        nodes: list[tuple[Any, Any]] = list(nnx.iter_graph(module))
        modules = {path for path, node in nodes if path and _plain(node)}
        found = []
        for local, node in nodes:
            known = self.all.get(self._by_id.get(id(node), ())) if isinstance(node, nnx.Variable) else None
            if known:
                # A list of parameters is no module of its own.
                start = max((end for end in range(len(local)) if local[:end] in modules), default=0)
                local = local if start else (".".join(map(str, local)),)
                found.append(Own(local, known.path, known.trained, known.shape, known.dtype))
        return found

    def _linen(self, path: Path, module: linen.Module) -> list[Own]:
        roots = [path]
        if isinstance(module, linen.RNN):
            roots = [module.cell.path]  # it may stand beside the module that runs it
        found = []
        for own in self.all.values():
            place = own.path if own.trained else own.path[1:]
            for root in roots:
                if place[: len(root)] == root:
                    found.append(Own(place[len(root) :], own.path, own.trained, own.shape, own.dtype))
        return found


def _plain(node: Any) -> bool:
    return isinstance(node, nnx.Module) and not isinstance(node, nnx.List | nnx.Dict)
