"""Where the two models part, in lines of both: the first result of PyTorch's in whose place Flax has another."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from parity.arrays.layout import named_leaves
from parity.arrays.torch_arrays import to_numpy
from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.places import PLACES
from parity.blame.heard import Heard
from parity.blame.instead import Standing, explain_instead, in_words, made_of, on_the_way, results_of_lines
from parity.blame.marks import Marks, flax_marks, flax_told
from parity.blame.one_call import at_call
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision
from parity.result import Blame
from parity.sides.torch import TorchRun
from parity.sides.torch_tensors import leaves
from parity.twin.twin import State, Twin, in_turn


class _Met(BaseException):
    """Ends a run where it is looked at: what comes behind has no part in it."""


@dataclass
class Sight:
    """Where runs of both sides are compared: what a submodule's call is given or returns, or an output of the model's.

    flax:     what Flax has there, in PyTorch's layout; several results by their names
    call:     the submodule, and which of its calls it is
    argument: which of the tensors that it is given; None: what it returns
    output:   the model's, or "loss", where no submodule tells
    turned:   makes of an argument what is compared
    """

    flax: Mapping[str, np.ndarray]
    call: tuple[str, int] = ("", 0)
    argument: int | None = None
    output: str = ""
    turned: Callable[[np.ndarray], np.ndarray] = np.asarray

    @contextmanager
    def seen(self, model: torch.nn.Module) -> Iterator[dict[str, torch.Tensor]]:
        """Collects, within the block, the tensors by their names."""
        seen: dict[str, torch.Tensor] = {}

        def given(arguments: list[torch.Tensor]) -> None:
            if self.argument is not None and not self.output:
                seen[next(iter(self.flax))] = arguments[self.argument]
                raise _Met

        def returned(result: Any) -> None:
            if self.argument is None and not self.output:
                seen.update(named_leaves(result, "output"))
                raise _Met

        name, number = self.call
        with suppress(_Met), at_call(model.get_submodule(name), number, given, returned):
            yield seen


def parted(blame: Blame, twin: Twin, state: State, train: bool, sight: Sight) -> Blame:
    """Returns the blame; one that names no cause, with the first result that Flax has otherwise, and all follows."""
    if blame.cause and blame.cause not in PLACES:
        return blame
    try:
        text, place = _told(twin, state, train, sight)
    except UNFIT:
        return blame
    if not text:
        return blame
    inside = place if not blame.layer else ""
    within = f"in {inside}, " if inside else ""
    return replace(blame, text=f"{blame.text}; {within}{text}", layer=blame.layer or inside)


def _told(twin: Twin, state: State, train: bool, sight: Sight) -> tuple[str, str]:
    """Returns what is told, and the submodule whose line it is; nothing where no one result explains all."""
    marks = flax_marks(twin, state, train)
    if not marks:
        return "", ""
    run = TorchRun(twin, "float64", "cpu")
    heard = Heard(marks, run.model)
    tensors = _seen(run, twin, state, train, sight, heard)
    names = [name for name in sight.flax if name in tensors]
    wrong = next((line for name in names if (line := heard.made.get(id(tensors[name]))) and not line.known), None)
    sizes = {int(np.prod(line.shape)) for line in on_the_way(wrong) if line.shape is not None}
    if not sizes:
        return "", ""

    def again(mode: Standing) -> list[np.ndarray]:
        tensors = _seen(run, twin, state, train, sight, mode)
        return [sight.turned(to_numpy(tensors[name])) for name in names]

    words: list[str] = []
    arrays = flax_told(twin, state, train, partial(results_of_lines, words, sizes))
    made = made_of(words, arrays, Marks(np.stack(heard.rows), marks.near).known)
    found = explain_instead(wrong, made, again, [sight.flax[name] for name in names])
    if not found or any(name.startswith(f"{found[0].place}.") for name in twin.likeliest if found[0].place):
        return "", ""  # with tensors that are guessed, it may be another place that Flax has there
    return in_words(*found), found[0].place


def _seen(
    run: TorchRun, twin: Twin, state: State, train: bool, sight: Sight, mode: TorchFunctionMode
) -> dict[str, torch.Tensor]:
    """Runs PyTorch's model in a mode, and returns the tensors that are looked at."""
    run.load(state)
    run.model.train(train)
    batch = twin.batches[0]
    tensors = run.batch(batch)
    results = dict[str, Any]()
    drawing = ImposedOnTorch(twin.torch_numbers(batch, train))
    with torch.no_grad(), torch_precision(run.dtype), drawing, sight.seen(run.model) as seen, mode:
        if train:
            for _, loss, more in in_turn(twin.torch.turns, run.model, tensors):
                results |= more | {"loss": loss}
        elif twin.torch.observe:
            results = twin.torch.observe(run.model, tensors)
    return dict(leaves(results)) if sight.output else seen
