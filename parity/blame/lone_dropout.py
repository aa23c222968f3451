"""Dropout that Flax's model leaves out: PyTorch's has dropped nothing there, and all else has been compared."""

from collections.abc import Sequence

from parity.arrays.key import Key
from parity.blame.diagnosis.cause import Cause
from parity.compare.rows import Row, failure
from parity.result import Blame

WHY = "PyTorch drops numbers in training, Flax does not; all else was compared without this dropout"


def lone_rows(places: Sequence[str]) -> list[Row]:
    """Returns a failing row for each place of PyTorch's that drops alone."""
    return [failure(Key(1, "forward", f"{_module(place)}.dropout".lstrip(".")), WHY) for place in places]


def blame_lone(places: Sequence[str]) -> Blame | None:
    """Returns the first of the places, and in its text all of them."""
    if not places:
        return None
    listed = ", ".join(place or "the body" for place in places)
    return Blame(_module(places[0]), "forward", "dropout-missing", f"{listed}: {WHY}")


def _module(place: str) -> str:
    """Returns the submodule's name; a place in its own body is followed by the layer before it."""
    return "" if place.startswith("after ") else place.partition(" ")[0]


def drawn_alone(places: Sequence[str]) -> Cause:
    """Returns that Flax drops in evaluation, too."""
    text = (
        f"Flax draws random numbers in evaluation, too, {', '.join(places)}, PyTorch none: a dropout that is not"
        " told that nothing is trained (deterministic=True)"
    )
    return Cause("dropout-in-evaluation", text, 0.0)
