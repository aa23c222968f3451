"""What comes of layers that are wrong: by it they are explained, and the body behind them, which they hide."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from parity.blame.body import Watched, explain_body
from parity.blame.diagnosis.calls import UNFIT
from parity.blame.layer import right_modules
from parity.layers.isolated import Isolated
from parity.layers.received import first_other, received_without
from parity.result import BODY, Blame
from parity.twin.twin import State, Twin


def by_what_comes(found: Blame, twin: Twin, isolated: Isolated, state: State) -> Blame:
    """Returns the blame of a layer with a cause that its results do not show, as where Flax's module ends elsewhere.

    It has to explain all of what the next layer is given.
    """
    received = first_other(isolated.received)
    if found.cause or found.direction != "forward" or received is None:
        return found
    with suppress(*UNFIT):
        watched = Watched(received.torch, received.flax, received=received)
        cause = explain_body(twin, state, True, watched, right_modules(isolated))
        if cause and f"{cause.part}.".startswith(f"{found.layer}."):
            label = found.text.partition(";")[0]
            return replace(found, cause=cause.name, text=f"{label}, by what {received.label} is given: {cause.text}")
    return found


def body_behind(twin: Twin, isolated: Isolated, state: State, known: Sequence[str]) -> Blame | None:
    """A mistake of the body's beside those of layers, which hand on what is right; told only with its cause.

    known: the layers whose mistakes are known, all that is inside included
    """
    wrong = {row.key.layer for row in isolated.rows if not row.passed and row.key.phase == "forward"}
    if not wrong:
        return None
    with suppress(*UNFIT):
        all_received = received_without(twin, isolated.layers, wrong, True)
        received = first_other([x for x in all_received if not any(x.name.startswith(f"{name}.") for name in known)])
        if received:
            watched = Watched(received.torch, received.flax, received=received)
            cause = explain_body(twin, state, True, watched, right_modules(isolated))
            place = f"{BODY}, before {received.label}"
            return Blame.because(cause, cause.part, "forward", place) if cause else None
    return None
