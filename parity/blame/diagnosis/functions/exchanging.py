"""Two layers that are right, each of whose results Flax uses in the place of the other's, as queries and keys."""

import itertools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from parity.blame.diagnosis.calls import UNFIT

MOST_RUNS = 60


class Exchanging:
    """Within it, submodules return what others have returned in a run without it.

    outputs: {submodule: what it returns}; where it is None, `returned` has what each has returned
    """

    def __init__(self, model: torch.nn.Module, names: Collection[str], outputs: dict[str, torch.Tensor] | None = None):
        self.model = model
        self.names = names
        self.outputs = outputs
        self.returned: dict[str, list[Any]] = {}

    @contextmanager
    def running(self) -> Iterator["Exchanging"]:
        """Lets the model run within the block."""

        def leave(name: str, output: Any) -> Any:
            self.returned.setdefault(name, []).append(output)
            return None if self.outputs is None else self.outputs[name]

        modules = {name: self.model.get_submodule(name) for name in self.names}
        handles = [
            module.register_forward_hook(lambda _, __, output, name=name: leave(name, output))
            for name, module in modules.items()
        ]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()


def exchanged_trials(
    model: torch.nn.Module, right: Collection[str], run: Callable[[Exchanging], Any], more: Callable[[str, str], str]
) -> Iterator[tuple[str, str, Any, str]]:
    """Yields what the model computes where two layers that are right, and run once, have each other's results.

    run: computes under a mode, and returns the pieces that are compared
    more: says more of the two submodules
    """
    names = [name for name in right if name]
    seen = Exchanging(model, names)
    try:
        run(seen)
    except UNFIT:
        return
    once = {name: calls[0] for name, calls in seen.returned.items() if len(calls) == 1 and _is_floating(calls[0])}
    for first, second in itertools.islice(itertools.combinations(once, 2), MOST_RUNS):
        one, other = once[first], once[second]
        if one.shape != other.shape or torch.equal(one, other):
            continue
        try:
            pieces = run(Exchanging(model, (first, second), {first: other, second: one}))
        except UNFIT:
            continue
        text = f"Flax uses {first} in the place of {second}, and {second} in that of {first}{more(first, second)}"
        yield "layers-exchanged", text, pieces, ""


def _is_floating(output: Any) -> bool:
    return isinstance(output, torch.Tensor) and output.is_floating_point()
