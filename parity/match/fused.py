"""Layers of PyTorch's that compute several of Flax's at once: `qkv` of a vision transformer, two gates, groups."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from d2l_jax.weights.leaf import Rows, Shape, rows_of
from parity.match.dense import axis_of_units, rows_of_units
from parity.match.flax_layers import Variables
from parity.match.functions import tensor_of
from parity.match.sums import Widths, spans, sums
from parity.match.torch_layers import NumpyCall, Recorded, TorchLayer

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
Fused = tuple[TorchLayer, np.ndarray]  # and its weight
NAMES = {3: ("query", "key", "value"), 2: ("first", "second")}


def fused_layers(recorded: Recorded, variables: Variables, blocks: int = 1) -> Iterator[TorchLayer]:
    """Yields parts of dense layers, one below the other, where Flax lacks kernels of the whole size.

    A part that has the input of a layer of Flax's may be its partner; what it computes is known. Of several blocks,
    as of heads, each has rows of all parts.
    """
    ours, theirs = sizes_of_both(recorded, variables, lambda rank: rank > 1, trained=True)
    layers = [
        (layer, weight)
        for layer in recorded.layers
        if (weight := recorded.arrays.get(layer.tensors.get("weight", ""))) is not None
        and layer.whole is None  # else of an attention
    ]
    fused = [(layer, weight) for layer, weight in layers if ours[weight.size] < theirs[weight.size]]
    told = dict(_all_told([(layer, weight) for layer, weight in layers if layer.parts], recorded, ours, theirs))
    for layer, parts in told.items():
        yield from (_part(layer, part, name, recorded) for part, name in parts.items())
    copied, shapes = _has_copies(recorded, variables), Counter[Shape]()
    for layer, weight in fused:
        shapes[weight.shape] += len(recorded.aliases[layer.tensors["weight"]]) if copied else 1
    for layer, weight in fused:  # of the others Flax may have as many whole
        if isinstance(layer.module, CONVOLUTIONS) and ours[weight.size // layer.module.groups] >= layer.module.groups:
            yield from _groups(layer)
        if (isinstance(layer.module, torch.nn.Linear) or _is_pointwise(layer.module)) and layer not in told:
            rows, columns = weight.shape[:2]
            alone = {size // columns: n for size, n in (ours - theirs).items() if not size % (columns * blocks)}
            lacking = min(shapes[weight.shape], theirs[weight.size] - ours[weight.size])
            widths = {width // blocks: count // lacking for width, count in alone.items()}
            for first, end in [] if rows % blocks else spans(rows // blocks, widths):
                part = (first, end) if blocks == 1 else (first, end, rows // blocks)
                yield _part(layer, part, _name(part, rows, widths), recorded, widths)


def sizes_of_both(
    recorded: Recorded, variables: Variables, has: Callable[[int], bool], trained: bool = False
) -> tuple[Counter, Counter]:
    """Returns how many arrays of Flax's and tensors of PyTorch's there are of each size.

    Shared ones count once, but where Flax has so many more numbers that it may hold a copy for each of their users.
    has:     tells which ranks are counted
    trained: parameters alone, else buffers too
    """
    copied = _has_copies(recorded, variables)
    keys = {key if copied else names[0] for key, names in recorded.aliases.items() if key in recorded.arrays}
    tensors = [recorded.arrays[key] for key in keys if not trained or key in recorded.trained]
    held = [variable for variable in variables.all.values() if not trained or variable.trained]
    ours = Counter(variable.size for variable in held if has(len(variable.shape)))
    return ours, Counter(array.size for array in tensors if has(array.ndim))


def _has_copies(recorded: Recorded, variables: Variables) -> bool:
    """Tells whether Flax has as many numbers as PyTorch's shared tensors under all of their names together."""
    names = [key for key in recorded.trained if key in recorded.arrays]
    once = {recorded.aliases[key][0] for key in names}
    held = sum(variable.size for variable in variables.all.values() if variable.trained)
    return len(once) < len(names) and sum(recorded.arrays[key].size for key in names) <= held


def _all_told(
    layers: Sequence[Fused], recorded: Recorded, ours: Counter, theirs: Counter
) -> Iterator[tuple[TorchLayer, dict[Rows, str]]]:
    """Yields the layers that PyTorch's model itself takes apart, where Flax has kernels for the parts of all of them.

    Whether Flax has another kernel as large as the whole tells nothing: it may be another layer's.
    """
    axes = {layer: axis_of_units(layer, recorded.arrays) for layer, _ in layers}
    taken = [(weight, layer, axis) for layer, weight in layers if (axis := axes[layer]) is not None]
    shapes = Counter(weight.shape for weight, *_ in taken)
    left = ours - (theirs - Counter(weight.size for weight, *_ in taken))
    for weight, layer, axis in taken:
        rows, columns = weight.shape[axis], weight.shape[1 - axis]
        widths = {size // columns: n // shapes[weight.shape] for size, n in left.items() if not size % columns}
        if parts := _told(layer, rows, widths):
            yield layer, parts


def _told(layer: TorchLayer, rows: int, widths: Mapping[int, int]) -> dict[Rows, str]:
    """Returns what the parts are called that PyTorch's model itself takes, where Flax has kernels as wide for all.

    Of neighbours, Flax may have one kernel: keys and values, say, along an axis of two.
    """
    numbers = np.arange(rows)
    told = {part: rows_of(numbers, part) for part in layer.parts}
    fitting = {part: units for part, units in told.items() if len(units) in widths}
    counts = Counter(map(len, fitting.values()))
    whole = sorted(itertools.chain.from_iterable(fitting.values())) == list(numbers)
    if whole and all(widths[width] >= count for width, count in counts.items()):
        names = _usual(tuple(len(fitting[part]) for part in sorted(fitting)))
        return dict(zip(sorted(fitting), names or map(_span, sorted(fitting))))
    if any(len(part) > 2 for part in told):
        return {}
    edges = sorted({0, rows}.union(*told))
    joined = next(_joined(edges, Counter(widths)), ())
    return {part: _span(part) for part in joined} if len(joined) > 1 else {}


def _joined(edges: Sequence[int], widths: Counter[int]) -> Iterator[tuple[Rows, ...]]:
    """Yields the parts that lie between some of these edges and are as wide as kernels, each of which is one's own."""
    first, *others = edges
    if not others:
        yield ()
    for number, end in enumerate(others):
        if widths[end - first] > 0:
            for behind in _joined(others[number:], widths - Counter([end - first])):
                yield ((first, end), *behind)


def _groups(layer: TorchLayer) -> Iterator[TorchLayer]:
    """Yields the convolutions of which one with groups is made; of one group, none."""
    whole: Any = layer.module
    count = whole.groups if whole.groups > 1 else 0
    sizes = [channels // max(count, 1) for channels in (whole.in_channels, whole.out_channels)]
    options = {"stride": whole.stride, "padding": whole.padding, "dilation": whole.dilation, "device": "meta"}
    for number in range(count):
        seen, given = (slice(number * size, (number + 1) * size) for size in sizes)
        part = type(whole)(*sizes, whole.kernel_size, **options)
        calls = [NumpyCall([call.inputs[0][:, seen]], call.output[:, given]) for call in layer.calls]
        rows = dict.fromkeys(layer.tensors, (given.start, given.stop))
        yield TorchLayer(f"{layer.name}.{number}", part, layer.tensors, calls, rows=rows, whole=layer)


def _part(
    layer: TorchLayer, rows: Rows, name: str, recorded: Recorded, widths: Mapping[int, int] | None = None
) -> TorchLayer:
    whole: Any = layer.module
    axis = axis_of_units(layer, recorded.arrays) or 0
    count = recorded.arrays[layer.tensors["weight"]].shape[axis]
    units = rows_of(np.arange(count), rows)
    channels = 1 if _is_pointwise(whole) else -1
    calls = [NumpyCall(call.inputs, np.take(call.output, units, channels)) for call in layer.calls]
    everywhere = dict.fromkeys(layer.tensors, rows) | {"weight": rows_of_units(rows, axis, count)}
    apart = {} if layer.bias is None or "bias" in layer.tensors else tensor_of(layer.bias[units], recorded.arrays)
    tensors = layer.tensors | apart
    module = _narrower(whole, len(units))
    return TorchLayer(f"{layer.name}.{name}", module, tensors, calls, rows=everywhere, whole=layer, widths=widths or {})


def _is_pointwise(module: Any) -> bool:
    """Tells a convolution that is a dense layer of channels."""
    return isinstance(module, CONVOLUTIONS) and module.groups == 1 and {*module.kernel_size, *module.stride} == {1}


def _narrower(module: Any, units: int) -> Any:
    """Returns a layer with fewer units; somebody's own, as it is."""
    if isinstance(module, torch.nn.Linear):
        return torch.nn.Linear(module.in_features, units, device="meta")
    return type(module)(module.in_channels, units, 1, device="meta") if _is_pointwise(module) else module


def _name(rows: Rows, count: int, widths: Mapping[int, int]) -> str:
    """Returns what a part is mostly called: of equal ones, or of queries before fewer keys; of any others, its rows."""
    first, end, *length = rows
    for parts in sums(length[0] if length else count, widths):
        for name, start, width in zip(_usual(parts), itertools.accumulate(parts, initial=0), parts):
            if (start, start + width) == (first, end):
                return name
    return _span(rows)


def _span(rows: Rows) -> str:
    return f"{rows[0]} to {rows[1]}"


def _usual(parts: Widths) -> tuple[str, ...]:
    names = NAMES.get(len(parts), ())
    return names if len({*parts[len(parts) - 2 :]}) == 1 else ()
