"""A run of a PyTorch model in which some calls of functions give what an alternative would."""

import inspect
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.functions.alternative import Alternative, Alternatives, Earlier, FunctionCall
from parity.blame.diagnosis.functions.hooked import hooked
from parity.blame.diagnosis.functions.passed import Passed
from parity.blame.diagnosis.functions.table import REMEMBERED, alternatives_of, plain_name
from parity.blame.lines import expression_of_caller

DRAWING = "dropout"


class Site(NamedTuple):
    """A call that has alternatives.

    place:  the innermost submodule around it
    number: which of the calls of this function it is, from 1
    labels: (cause, text) of each alternative
    paired: those of them that make sense at two calls alike
    turn:   what the calls of one expression have in common, in whichever turn of a loop
    """

    place: str
    function: str
    number: int
    shape: tuple[int, ...]
    labels: tuple["Label", ...]
    paired: tuple["Label", ...]
    turn: tuple[int, int] = (0, 0)


Label = tuple[str, str]
Find = Callable[[str, bool], Alternatives | None]  # (a function, is it within what is right) -> its alternatives
Choice = Callable[[str, int], Label | None]  # (a function, which of its calls) -> the alternative to be taken


def untouched(function: str, number: int) -> Label | None:
    """Leaves every call as it is."""
    return None


class Altering(TorchFunctionMode):
    """Within it, the alternative that `choice` names takes the place of each call's result.

    right: submodules that compute the same in Flax, where nothing is altered but what two of them do together
    find:  (function, is it within one of these) -> what lists its alternatives
    sites: what was met, in order; where nothing is altered, for only then all alternatives are made
    altered: how many calls were
    passed: what the submodules were given and returned
    """

    def __init__(
        self,
        model: torch.nn.Module,
        choice: Choice = untouched,
        right: Collection[str] = (),
        find: Find = alternatives_of,
    ):
        super().__init__()
        self.model = model
        self.choice = choice
        self.right = right
        self.find = find
        self.sites: list[Site] = []
        self.altered = 0
        self.passed = Passed()
        self._counts: dict[str, int] = {}
        self._earlier = Earlier()
        self._places = [""]

    def running(self) -> AbstractContextManager["Altering"]:
        """Lets the model run within the block."""
        handles = []
        for name, module in self.model.named_modules():
            handles.append(module.register_forward_pre_hook(lambda _, args, name=name: self._enter(name, args)))
            handles.append(module.register_forward_hook(lambda _, __, output: self._leave(output), always_call=True))
        return hooked(self, handles)

    def _enter(self, name: str, args: tuple) -> None:
        self._places.append(name)
        self.passed.given(name, args)

    def _leave(self, output: Any) -> None:
        self.passed.returned(self._places.pop(), output)

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = plain_name(func)
        place = self._places[-1]
        right = self._is_right(place)
        find = self.find(name, right)
        if find is None and name not in REMEMBERED:
            return func(*args, **kwargs)
        before = _kept(func, args, kwargs)
        draws_instead = name == DRAWING and self.choice(name, self._counts.get(name, 0) + 1) is not None
        result = args[0] if draws_instead else func(*args, **kwargs)  # random numbers come in order, each once
        result = args[0] if name == "setitem" else result  # which returns nothing
        call = FunctionCall(func, name, before, kwargs, result, self._earlier, self.passed)
        if name in REMEMBERED:
            self._earlier.add(call)
        if find is None:
            return call.result
        chosen = self._chosen(find, call, place)
        if before is args or chosen is None or chosen is call.result:
            return chosen
        return args[0].copy_(chosen)  # what works in place is used by the tensor's own name

    def _is_right(self, place: str) -> bool:
        return any(place == other or place.startswith(f"{other}.") for other in self.right)

    def _outside(self, place: str) -> str:
        """Returns the submodule around what is right, which gives it something else."""
        while place and self._is_right(place):
            place = place.rpartition(".")[0]
        return place

    def _chosen(self, find: Alternatives, call: FunctionCall, place: str) -> Any:
        """Returns the result, or that of the alternative which is to be taken."""
        name = call.name
        self._counts[name] = number = self._counts.get(name, 0) + 1
        label = self.choice(name, number)
        self.passed.made((name, number), call)
        if label is None and self.choice is not untouched:
            return call.result
        alternatives = _listed(find, call)
        if label is None:
            plain, paired = (tuple(x[:2] for x in alternatives if x.paired == paired) for paired in (False, True))
            shape = tuple(getattr(call.result, "shape", ()))
            self.sites.append(Site(self._outside(place), name, number, shape, plain, paired, expression_of_caller()))
            return call.result
        self.altered += 1
        chosen = next((x for x in alternatives if x[:2] == label), None)
        if chosen is None:  # an alteration before it has made other sizes
            raise ValueError(f"{name} has no such alternative: {label[1]}")
        return chosen.result()


def _listed(find: Alternatives, call: FunctionCall) -> list[Alternative]:
    try:
        with _disable_current_modes():  # layers that are made here draw their weights, which are replaced
            return list(find(call))
    except UNFIT:  # a call of another form than is known
        return []


def _kept(func: Any, args: tuple, kwargs: dict) -> tuple:
    """The arguments, copied where the function works in place."""
    if args and isinstance(args[0], torch.Tensor) and _in_place(func, args, kwargs):
        return (args[0].clone(), *args[1:])
    return args


def _in_place(func: Any, args: tuple, kwargs: dict) -> bool:
    """Tells whether the function's name says so, `add_`, or an option, as that of `F.relu(x, inplace=True)`."""
    name = getattr(func, "__name__", "")
    if name.startswith(("__i", "__setitem__")) or (name.endswith("_") and not name.endswith("__")):
        return True
    signature = _with_option(func)
    return bool(signature and signature.bind(*args, **kwargs).arguments.get("inplace"))


@cache
def _with_option(func: Any) -> inspect.Signature | None:
    """Returns the signature of a function that may work in place, if an option of its own says so."""
    try:
        signature = inspect.signature(func)
    except (TypeError, ValueError):  # most of PyTorch's built-in functions have none
        return None
    return signature if "inplace" in signature.parameters else None
