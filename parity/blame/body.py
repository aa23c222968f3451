"""Why a model's own body differs, between layers that are all right: PyTorch's with one of its functions altered."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from parity.arrays.torch_arrays import to_numpy
from parity.blame.diagnosis.cause import Cause, choose
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import leaves
from parity.twin.random_numbers_torch import ImposedOnTorch
from parity.twin.twin import State, Twin, in_turn

MOST_RUNS = 300
# A name, a line for people, what takes the place of (result, args).
Alternative = tuple[str, str, Callable[[torch.Tensor, tuple], torch.Tensor]]


def explain_body(
    twin: Twin, state: State, train: bool, oracle: np.ndarray, flax: np.ndarray, name: str
) -> Cause | None:
    """The one function of the body's that Flax leaves out or computes otherwise.

    oracle, flax: the output called `name`, in PyTorch's layout
    """
    run = TorchRun(twin, "float64", "cpu")
    sites = Altering()
    _output(run, twin, state, train, sites, name)

    def trials() -> Iterator[tuple[str, str, list[np.ndarray]]]:
        left = MOST_RUNS
        for number, count in enumerate(sites.counts):
            for which in range(count):
                left -= 1
                altering = Altering(number, which)
                try:
                    found = _output(run, twin, state, train, altering, name)
                except (RuntimeError, ValueError, IndexError, TypeError):
                    continue
                if altering.told and left >= 0:
                    yield *altering.told, [found]

    return choose([oracle], [flax], trials())


def _output(run: TorchRun, twin: Twin, state: State, train: bool, mode: "Altering", name: str) -> np.ndarray:
    run.load(state)
    run.model.train(train)
    batch = twin.batches[0]
    made = dict[str, Any]()
    drawing = ImposedOnTorch(twin.torch_numbers(batch) if train else ())
    tensors = run.batch(batch)
    with torch.no_grad(), drawing, mode:
        if train:
            for _, _, more in in_turn(twin.torch.turns, run.model, tensors):
                made |= more
        elif twin.torch.observe:
            made = twin.torch.observe(run.model, tensors)
    return to_numpy(dict(leaves(made))[name])


class Altering(TorchFunctionMode):
    """Within it, function call `number` of those with alternatives gives its alternative `which`.

    counts: how many alternatives each of these calls has
    told:   name and text of the alternative, once it was taken
    """

    def __init__(self, number: int = -1, which: int = 0):
        super().__init__()
        self.number = number
        self.which = which
        self.counts: list[int] = []
        self.told: tuple[str, str] | None = None

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        find = ALTERNATIVES.get(getattr(func, "__name__", "").strip("_"))
        if find is None or not isinstance(result, torch.Tensor):
            return result
        found = list(find(result, args))
        self.counts.append(len(found))
        if len(self.counts) - 1 != self.number:
            return result
        name, text, replace = found[self.which]
        self.told = name, f"{text} (call {self.number + 1} of its kind, of shape {tuple(result.shape)})"
        return replace(result, args)


def sums(result: torch.Tensor, args: tuple) -> Iterator[Alternative]:
    """Tries one term alone: a residual connection that was left out."""
    for kept, left_out in ((1, "first"), (0, "second")):
        if len(args) > 1 and isinstance(args[kept], torch.Tensor) and args[kept].shape == result.shape:
            text = f"Flax leaves out the {left_out} term of a sum"
            yield "residual-missing", text, lambda result, args, kept=kept: args[kept]


def products(result: torch.Tensor, args: tuple) -> Iterator[Alternative]:
    if isinstance(args[0], torch.Tensor) and args[0].shape == result.shape:
        yield "factor-missing", "Flax leaves out a factor or a divisor", lambda result, args: args[0]


def elementwise(result: torch.Tensor, args: tuple) -> Iterator[Alternative]:
    yield "activation-missing", "Flax leaves out an activation or dropout", lambda result, args: args[0]


def gelu(result: torch.Tensor, args: tuple) -> Iterator[Alternative]:
    function = torch.nn.functional.gelu
    yield "gelu-tanh", "Flax computes GELU's tanh approximation", lambda _, args: function(args[0], approximate="tanh")
    yield from elementwise(result, args)


def softmax(result: torch.Tensor, args: tuple) -> Iterator[Alternative]:
    for axis in range(result.ndim):
        text = f"Flax's softmax is along axis {axis}"
        yield "softmax-axis", text, lambda result, args, axis=axis: torch.softmax(args[0], axis)
    yield "softmax-missing", "Flax leaves out a softmax", lambda result, args: args[0]


def flatten(result: torch.Tensor, args: tuple) -> Iterator[Alternative]:
    if args[0].ndim == 4 and result.ndim == 2:
        text = "Flax flattens (H, W, C), PyTorch (C, H, W)"
        yield "flatten-order", text, lambda result, args: args[0].movedim(1, -1).reshape(result.shape)


def concatenation(result: torch.Tensor, args: tuple) -> Iterator[Alternative]:
    sizes = {tuple(part.shape) for part in args[0]}
    if len(sizes) == 1 and len(args) > 1:
        text = "Flax joins the parts in the opposite order"
        yield "concatenation-order", text, lambda result, args: torch.cat(list(args[0])[::-1], args[1])


def triangle(result: torch.Tensor, args: tuple) -> Iterator[Alternative]:
    yield "causal-mask", "Flax has no causal mask", lambda result, args: torch.zeros_like(result)


ALTERNATIVES: dict[str, Callable[[torch.Tensor, tuple], Iterator[Alternative]]] = {
    **dict.fromkeys(("add", "radd", "iadd"), sums),
    **dict.fromkeys(("mul", "rmul", "imul", "div", "truediv"), products),
    **dict.fromkeys(("relu", "tanh", "sigmoid", "silu", "leaky_relu", "elu", "dropout"), elementwise),
    "gelu": gelu,
    "softmax": softmax,
    **dict.fromkeys(("flatten", "reshape", "view"), flatten),
    **dict.fromkeys(("cat", "concat"), concatenation),
    "triu": triangle,
}
