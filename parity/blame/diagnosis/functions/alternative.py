"""An alternative to one call of a function."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from parity.blame.diagnosis.functions.passed import Passed


class Earlier:
    """Calls so far, of functions that say what later ones are for; each is found by what it gave."""

    def __init__(self) -> None:
        self.calls: list[FunctionCall] = []
        self._made: dict[int, FunctionCall] = {}  # by id, which is a tensor's own as long as its call is kept

    def add(self, call: "FunctionCall") -> None:
        self.calls.append(call)
        results = call.result if isinstance(call.result, tuple | list) else (call.result,)
        made = [result for result in results if result is not call.x]  # `contiguous` may give back what it is given
        self._made |= {id(result): call for result in made}

    def behind(self, tensor: Any) -> "FunctionCall | None":
        """Returns the latest call that gave this very tensor, alone or among several."""
        return self._made.get(id(tensor))


@dataclass(frozen=True)
class FunctionCall:
    """A call of one of PyTorch's functions, as it is outside of any alteration.

    args:    as they were before a function that works in place
    earlier: calls before it in the same run
    passed:  what submodules were given and returned before it
    """

    function: Callable[..., Any]
    name: str
    args: tuple
    kwargs: Mapping[str, Any]
    result: Any
    earlier: Earlier = field(default_factory=Earlier)
    passed: Passed = field(default_factory=Passed)

    @property
    def x(self) -> Any:
        """Returns the first argument, as a rule the tensor that the function is of."""
        return self.args[0] if self.args else None

    def last(self, *names: str) -> "FunctionCall | None":
        """Returns the last earlier call of one of the functions."""
        return next((call for call in reversed(self.earlier.calls) if call.name in names), None)

    def behind(self, tensor: Any) -> "FunctionCall | None":
        """Returns the earlier call that made this very tensor."""
        return self.earlier.behind(tensor)

    def option(self, place: int, name: str, default: Any = None) -> Any:
        """Returns an argument that may be given by place or by name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    def again(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the function of other arguments; the others stay, and so do those by name."""
        return self.function(*args, *self.args[len(args) :], **{**self.kwargs, **kwargs})

    @property
    def elementwise(self) -> bool:
        """Tells whether the result has the shape of the first argument."""
        same = isinstance(self.x, torch.Tensor) and isinstance(self.result, torch.Tensor)
        return same and self.x.shape == self.result.shape


class Alternative(NamedTuple):
    """The result that Flax may have in the function's place.

    cause, text: its name, and a line for people
    paired:      it makes sense at two calls alike, such as the projections of queries and keys
    """

    cause: str
    text: str
    result: Callable[[], Any]
    paired: bool = False


Alternatives = Callable[[FunctionCall], Iterator[Alternative]]
