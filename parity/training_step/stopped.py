"""Where a gradient is stopped on one side alone: PyTorch's step with one stop taken out, or one more put in."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from parity.blame.diagnosis.calls import UNFIT
from parity.blame.diagnosis.functions.alternative import Alternative, Alternatives, FunctionCall
from parity.blame.diagnosis.functions.table import DETACH, alternatives_of
from parity.blame.diagnosis.functions.trials import FunctionTrial
from parity.blame.lines import line_of_caller

TORCH = str(Path(torch.__file__).parent)
DECORATORS = str(Path(TORCH) / "utils" / "_contextlib.py")
MOST_BLOCKS = 20


def blocks_without_gradient(run: Callable[[], Any]) -> Iterator[FunctionTrial]:
    """Yields what the step gives where one block of `torch.no_grad` has gradients as all around it has.

    run: takes the step, and returns the pieces that are compared
    """
    with _left_out(0) as lines:
        run()
    for number, line in enumerate(lines[:MOST_BLOCKS], 1):
        try:
            with _left_out(number):
                pieces = run()
        except UNFIT:  # as where it moves parameters
            continue
        text = f"Flax lets the gradient through what PyTorch computes in {line}: no jax.lax.stop_gradient"
        yield "stop-gradient-missing", text, pieces, ""


@contextmanager
def _left_out(chosen: int) -> Iterator[list[str]]:
    """Has one of the user's blocks do nothing within it, and lists the lines of all; 0 is none of them."""
    kind: Any = torch.no_grad
    entered, lines = kind.__enter__, list[str]()

    def enter(block: Any) -> None:
        caller = sys._getframe(1).f_code.co_filename
        if caller == DECORATORS or not caller.startswith(TORCH):
            lines.append(line_of_caller())
            if len(lines) == chosen:
                block.prev = torch.is_grad_enabled()  # which its end puts back
                return
        entered(block)

    kind.__enter__ = enter
    try:
        yield lines
    finally:
        kind.__enter__ = entered


def stops(name: str, right: bool) -> Alternatives | None:
    """Returns what lists the stops of gradients that Flax may have, or lack, at a call; find of `Altering`."""
    return alternatives_of(name) if name == DETACH else _stopped


def _stopped(call: FunctionCall) -> Iterator[Alternative]:
    results = [x for x in tree_leaves(call.result) if isinstance(x, torch.Tensor)]
    if any(x.requires_grad for x in results) and (line := line_of_caller()):
        text = f"Flax stops the gradient behind {line}, PyTorch does not"
        yield Alternative("stop-gradient", text, lambda: tree_map(_detached, call.result))


def _detached(x: Any) -> Any:
    return x.detach() if isinstance(x, torch.Tensor) else x
