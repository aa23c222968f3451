"""PyTorch's layers: their tensors, with random values, and what flowed through them in one run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Num
from torch.nn.utils import parametrize

from d2l_jax.errors import InputError, in_a_line
from d2l_jax.weights.leaf import Rows, rows_of
from parity.match.draws import SameForAShape
from parity.match.functions import Dense, dense_calls, tensor_of
from parity.match.joined import PartsJoined
from parity.match.projections import projections, slow_attention
from parity.match.randomized import randomize
from parity.match.recurrent import by_depth, recurrent_names
from parity.match.taken import PartsTaken
from parity.models.calls import TorchCall, torch_calls
from parity.models.copies import copy_of
from parity.models.random_numbers import RandomRequest
from parity.models.torch_precision import in_precision, torch_precision

Array = Num[np.ndarray, "..."]
FEW = 6  # tensors of a module that may be one layer


@dataclass(frozen=True)
class NumpyCall:
    """A call in numpy: its array arguments, and its output with arrays in place of tensors.

    valid: (batch, time), true before each end of a packed sequence
    """

    inputs: list[Array]
    output: Any
    valid: Array | None = None

    def without_padding(self, output: Array) -> list[Array]:
        """Returns an output of Flax's with zeros behind the ends, as (batch, time, ...) and as (time, batch, ...)."""
        layouts = () if self.valid is None else (self.valid, self.valid.T)
        axes = (1,) * (output.ndim - 2)
        fits = [valid.reshape(*valid.shape, *axes) for valid in layouts if output.shape[:2] == valid.shape]
        return [np.where(valid, output, 0) for valid in fits] or [output]


@dataclass(eq=False)
class TorchLayer:
    """A module of PyTorch's that owns tensors, or one direction of one depth of a recurrent one.

    tensors:  {local name: key in the state_dict}
    rows:     {local name: rows of that tensor}, where not all of it belongs here, as in Leaf
    whole:    the attention, or the fused dense layer, that this is one projection of
    widths:   how many parts of each width the fused layer may have
    parts:    which of a dense layer's features the model takes as parts, where it is seen
    backward: reads the sequence from its end
    bias:     of a dense layer that is called as a function, its numbers, which several tensors may hold
    joined:   how wide the parts are that its input was put together of, where that is seen
    holds:    has the tensors of the modules within, too
    """

    name: str
    module: torch.nn.Module
    tensors: dict[str, str]
    calls: list[NumpyCall] = field(default_factory=list)
    backward: bool = False
    rows: Mapping[str, Rows] = field(default_factory=dict)
    whole: "TorchLayer | None" = None
    widths: Mapping[int, int] = field(default_factory=dict)
    parts: tuple[Rows, ...] = ()
    bias: Array | None = None
    joined: tuple[int, ...] = ()
    holds: bool = False

    @property
    def last(self) -> str:
        """Returns the last part of the name."""
        return self.name.rpartition(".")[2]

    def shapes(self, arrays: dict[str, Array]) -> dict[str, tuple[int, ...]]:
        """Shapes by local name."""
        return {name: rows_of(arrays[key], self.rows.get(name)).shape for name, key in self.tensors.items()}


@dataclass
class Recorded:
    """A run of PyTorch's model.

    layers:  in the order of their first calls, those that were not called last
    arrays:  the state_dict
    aliases: {key: all keys of the same tensor}
    output:  of the model, in numpy
    drawn:   its requests for random numbers
    modules: with tensors of their own and within, each as one layer
    trained: the names of parameters
    """

    layers: list[TorchLayer]
    arrays: dict[str, Array]
    aliases: dict[str, tuple[str, ...]]
    output: Any
    drawn: list[RandomRequest] = field(default_factory=list)
    modules: list[TorchLayer] = field(default_factory=list)
    trained: frozenset[str] = frozenset()


def record(
    model: torch.nn.Module,
    inputs: tuple[torch.Tensor, ...],
    seed: int = 0,
    held: Mapping[str, Array] | None = None,
) -> Recorded:
    """Runs a copy of `model` in float64 and evaluation mode, with random weights and statistics, but those held."""
    try:
        run = in_precision(copy_of(model).eval(), torch.float64)
    except Exception as error:
        raise InputError(f"PyTorch's model cannot be copied: {error}") from error
    randomize(run, np.random.default_rng(seed))
    run.load_state_dict({key: torch.from_numpy(np.array(x)) for key, x in (held or {}).items()}, strict=False)
    arguments = [x.detach().cpu().double() if x.is_floating_point() else x.cpu() for x in inputs]
    with (
        torch.no_grad(),
        torch_precision("float64"),
        slow_attention(),
        dense_calls() as functions,
        torch_calls(run) as calls,
        SameForAShape() as drawing,
        PartsTaken(run) as taken,
        PartsJoined(run) as joined,
    ):
        try:
            output = run(*arguments)
        except Exception as error:
            raise InputError(f"PyTorch's model does not run on these inputs: {in_a_line(error)}") from error
    state = run.state_dict(keep_vars=True)
    by_tensor: dict[int, list[str]] = {}
    for key, tensor in state.items():
        by_tensor.setdefault(id(tensor), []).append(key)
    aliases = {key: tuple(by_tensor[id(tensor)]) for key, tensor in state.items()}
    arrays = {key: tensor.detach().numpy() for key, tensor in state.items() if isinstance(tensor, torch.Tensor)}
    layers, modules = _layers(run, calls, aliases), list(_modules(run, calls))
    for layer in layers:
        _called_as_function(layer, functions, arrays)
        layer.parts, layer.joined = taken.of(layer.module), joined.of(layer.module)
    layers += [part for layer in layers for part in _projections(layer, arrays, functions)]
    trained = frozenset(name for name, _ in model.named_parameters(remove_duplicate=False))
    return Recorded(layers, arrays, aliases, to_numpy(output), drawing.seen, modules, trained)


def to_numpy(value: Any) -> Any:
    """A tree with arrays in place of tensors."""
    if isinstance(value, torch.Tensor):
        return value.detach().numpy()
    if isinstance(value, dict):
        return {key: to_numpy(v) for key, v in value.items()}
    return [to_numpy(v) for v in value] if isinstance(value, tuple | list) else value


def arrays_of(tree: Any) -> list[Array]:
    """The arrays of a tree, in order."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, tuple | list):
        return [array for item in tree for array in arrays_of(item)]
    return [np.asarray(tree)] if hasattr(tree, "shape") and hasattr(tree, "dtype") else []


def _layers(model: torch.nn.Module, calls: list[TorchCall], aliases: dict[str, tuple[str, ...]]) -> list[TorchLayer]:
    by_module: dict[int, list[TorchCall]] = {}
    for call in calls:
        by_module.setdefault(id(call.module), []).append(call)
    order = {module: number for number, module in enumerate(by_module)}
    named = sorted(model.named_modules(), key=lambda item: order.get(id(item[1]), len(order)))
    layers: dict[tuple, TorchLayer] = {}
    inside = [module.out_proj for module in model.modules() if isinstance(module, torch.nn.MultiheadAttention)]
    for name, module in named:
        tensors = {} if any(module is part for part in inside) else _tensors(name, module)
        seen = [(call.args, call.kwargs, call.output) for call in by_module.get(id(module), ())]
        for part in _parts(name, module, tensors, seen):
            # Modules of one kind that share all of their tensors are one layer.
            same = (type(module), *(aliases[key][0] for key in part.tensors.values()))
            layers.setdefault(same, part)
            if layers[same] is not part:
                layers[same].calls += part.calls
    return [layer for layer in layers.values() if layer.tensors]


def _modules(model: torch.nn.Module, calls: list[TorchCall]) -> Iterator[TorchLayer]:
    """Yields the modules of somebody's own that hold few tensors, some of them themselves and some within."""
    for name, module in model.named_modules():
        tensors = {local: f"{name}.{local}".lstrip(".") for local in module.state_dict()}
        own = [local for local in tensors if "." not in local]
        if own and len(own) < len(tensors) <= FEW and not type(module).__module__.startswith("torch."):
            own_calls = (call for call in calls if call.module is module)
            runs = [NumpyCall(arrays_of(to_numpy([x.args, x.kwargs])), to_numpy(x.output)) for x in own_calls]
            yield TorchLayer(name, module, recurrent_names(tensors), runs, holds=True)


def _called_as_function(layer: TorchLayer, functions: dict[int, list[Dense]], arrays: dict[str, Array]) -> None:
    """Gives a dense layer that is not called itself what functions make of its weight, and their bias."""
    if type(layer.module) is torch.nn.Linear and not layer.calls:
        calls = functions.get(id(layer.module.weight), [])
        layer.calls = [NumpyCall([call.input], call.output) for call in calls]
        layer.bias = calls[0].bias if calls else None
        layer.tensors |= tensor_of(layer.bias, arrays)


def _tensors(name: str, module: torch.nn.Module) -> dict[str, str]:
    if isinstance(module, parametrize.ParametrizationList) and hasattr(module, "original1"):
        return {}  # weight norm's: they are the layer's around it
    whole = isinstance(module, torch.nn.MultiheadAttention)
    names = [n for n, _ in module.named_parameters(recurse=whole)]
    names += [n for n, b in module.named_buffers(recurse=False) if n not in module._non_persistent_buffers_set]
    prefix = f"{name}." if name else ""
    tensors = {n: prefix + n for n in names}
    for local, parts in getattr(module, "parametrizations", {}).items():
        if hasattr(parts, "original1"):
            tensors[f"{local}_g"] = f"{prefix}parametrizations.{local}.original0"
            tensors[local] = f"{prefix}parametrizations.{local}.original1"
    return tensors


def _parts(name: str, module: torch.nn.Module, tensors: dict[str, str], calls: list[tuple]) -> Iterator[TorchLayer]:
    if not isinstance(module, torch.nn.RNNBase):
        seen = [NumpyCall(arrays_of(to_numpy([args, kwargs])), to_numpy(output)) for args, kwargs, output in calls]
        yield TorchLayer(name, module, tensors, seen)
        return
    for suffix, backward, runs in by_depth(module, calls):
        local = {n.removesuffix(suffix): key for n, key in tensors.items() if n.endswith(suffix)}
        seen = [NumpyCall([to_numpy(x)], to_numpy(output), to_numpy(valid)) for x, output, valid in runs]
        yield TorchLayer(f"{name}{suffix}", module, local, seen, backward)


def _projections(
    layer: TorchLayer, arrays: dict[str, Array], functions: dict[int, list[Dense]]
) -> Iterator[TorchLayer]:
    """The dense layers within PyTorch's attention, for Flax models that have them one by one."""
    if not isinstance(layer.module, torch.nn.MultiheadAttention):
        return
    attended = [call.input for call in functions.get(id(layer.module.out_proj.weight), [])]
    for part in projections(layer.module, [call.inputs for call in layer.calls], attended):
        tensors = {local: layer.tensors[name] for local, name in part.names.items() if name in layer.tensors}
        rows = {local: part.rows[local] for local in tensors if local in part.rows}
        projection = TorchLayer(f"{layer.name}.{part.name}", part.module, tensors, rows=rows, whole=layer)
        numbers = {local: rows_of(arrays[key], rows.get(local)) for local, key in tensors.items()}
        for x in part.inputs:
            projection.calls.append(NumpyCall([x], x @ numbers["weight"].T + numbers.get("bias", 0.0)))
        yield projection
