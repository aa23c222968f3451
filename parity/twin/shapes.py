"""The first layer whose shapes differ, where the two models' outputs do: which it is, and why."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import torch
from flax import linen, nnx

from d2l_jax.turns import Tensors, arguments
from parity.arrays.layout import Axes, copied, named_leaves
from parity.models.calls import Path, TorchCall, torch_calls
from parity.models.flax_model import FlaxModel

Shapes = list[tuple[int, ...]]


class Call(NamedTuple):
    """A call of Flax's: the shapes of what it is given and of what it returns."""

    module: Any
    given: Shapes
    returned: Shapes


def first_difference(
    flax: FlaxModel, model: torch.nn.Module, batch: Tensors, axes: dict[str, Axes], names: dict[str, Path]
) -> str:
    """Returns a line about the first layer that is given or returns other shapes, "" where there is none."""
    ours = _flax_calls(flax, batch)
    for call in _finished(_torch_calls(model, batch, axes)):
        other = ours.get((names.get(call.name, ("?",)), call.number))
        if not call.name or other is None:
            continue
        kind = type(call.module).__name__
        given = _shapes((call.args, call.kwargs))
        returned = _shapes(call.output)
        if not _alike(given, other.given):
            return f"the model's own body, before {call.name} ({kind}): {_listed(given, other.given, 'it is given')}"
        if not _alike(returned, other.returned):
            text = f"{call.name} ({kind}): {_listed(returned, other.returned, 'it returns')}"
            return text + _reason(call.module, other.module)
    return ""


def _listed(theirs: Shapes, ours: Shapes, verb: str) -> str:
    theirs_shown, ours_shown = (", ".join(map(str, shapes)) for shapes in (theirs, ours))
    return f"{verb} {theirs_shown} in PyTorch, {ours_shown} in Flax"


def _alike(theirs: Shapes, ours: Shapes) -> bool:
    """Tells whether the first tensors have the same sizes; what else is given may differ, as states do."""
    return not theirs or not ours or sorted(theirs[0]) == sorted(ours[0])


def _finished(calls: Sequence[TorchCall]) -> Iterator[TorchCall]:
    """The calls in the order of their ends, inner ones first."""
    for call in calls:
        yield from _finished(call.children)
        yield call


def _shapes(tree: Any) -> Shapes:
    return [tuple(x.shape) for _, x in named_leaves(tree, "")]


def _torch_calls(model: torch.nn.Module, batch: Tensors, axes: dict[str, Axes]) -> list[TorchCall]:
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    tensors = [torch.as_tensor(copied(x, axes[name])) for name, x in named_leaves(batch["input"], "input")]
    with torch.no_grad(), torch_calls(model.eval()) as calls:
        model(*(x.to(dtype) if x.is_floating_point() else x for x in tensors))
    return [call for call in calls if call.parent is None]


def _flax_calls(flax: FlaxModel, batch: Tensors) -> dict[tuple[Path, int], Call]:
    calls: dict[tuple[Path, int], Call] = {}
    counts: dict[Path, int] = {}

    def around(path: Path, module: Any, call: Any, args: tuple, kwargs: dict) -> Any:
        number = counts[path] = counts.get(path, -1) + 1
        output = call(*args, **kwargs)
        calls[path, number] = Call(module, _shapes((args, kwargs)), _shapes(output))
        return output

    run = partial(flax.run, lambda nets, inputs: nets(*inputs), train=False, around=around)
    jax.eval_shape(lambda p, b, inputs: run(p, b, inputs)[0], flax.params, flax.buffers, arguments(batch["input"]))
    return calls


def _reason(theirs: torch.nn.Module, ours: Any) -> str:
    """Returns what the options of the two layers mean, as the end of a line."""
    if isinstance(theirs, torch.nn.modules.conv._ConvTransposeNd) and isinstance(ours, TRANSPOSED):
        return _transposed(theirs, ours.padding)
    options = ((name, getattr(theirs, name, None)) for name in ("kernel_size", "stride", "padding", "dilation"))
    ours_options = ((name, getattr(ours, name, None)) for name in ("kernel_size", "strides", "padding"))
    shown = [", ".join(f"{n}={v}" for n, v in some if v is not None) for some in (options, ours_options)]
    return f"; PyTorch has {shown[0]}, Flax {shown[1]}" if all(shown) else ""


TRANSPOSED = (nnx.ConvTranspose, linen.ConvTranspose)


def _transposed(theirs: Any, padding: Any) -> str:
    right = [d * (k - 1) - p for k, p, d in zip(theirs.kernel_size, theirs.padding, theirs.dilation, strict=True)]
    ends = [(low, low + more) for low, more in zip(right, theirs.output_padding, strict=True)]
    shown = right[0] if len(set(right)) == 1 and all(low == high for low, high in ends) else ends
    meaning = "is 'SAME' to stride times the input" if padding == "SAME" else "pads the spread input"
    if padding == "VALID":
        meaning = "leaves the full result"
    return (
        f"; Flax's padding={padding!r} {meaning}, PyTorch's padding={theirs.padding} crops the full result:"
        f" padding k - 1 - p = {shown} in Flax is PyTorch's (transposed-padding)"
    )
