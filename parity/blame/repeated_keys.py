"""Draws of Flax's by a key that was used before: the same numbers again, where PyTorch draws anew."""

from collections.abc import Sequence

from parity.arrays.key import Key
from parity.compare.rows import Row, failure
from parity.result import Blame

CAUSE = "repeated-key"


def repeated_rows(places: Sequence[tuple[str, str]]) -> list[Row]:
    """Returns a failing row for each submodule; all else has been compared on equal numbers."""
    return [failure(Key(1, "forward", f"{now}.dropout".lstrip(".")), _why(before)) for now, before in places]


def blame_repeated(places: Sequence[tuple[str, str]]) -> Blame | None:
    """Returns the first of the submodules as the place."""
    if not places:
        return None
    now, before = places[0]
    others = f", and {len(places) - 1} more" if len(places) > 1 else ""
    return Blame(now, "forward", CAUSE, f"{now or 'the body'}{others}: {_why(before)}")


def of_steps(text: str) -> tuple[list[Row], Blame | None]:
    """Returns the failing row and the blame of a training step that uses a key again; none without a text."""
    if not text:
        return [], None
    return [failure(Key(1, "forward", "random numbers"), text)], Blame("", "training", CAUSE, text)


def _why(before: str) -> str:
    return f"Flax draws by the key that {before or 'the body'} has used already, the same numbers; PyTorch draws anew"
