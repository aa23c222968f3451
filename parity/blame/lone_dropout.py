"""Dropout that Flax's model leaves out, or ends in evaluation: PyTorch's drops nothing there, all else is compared."""

from collections.abc import Sequence

from parity.arrays.key import Key
from parity.blame.diagnosis.cause import Cause
from parity.compare.rows import Row, failure
from parity.result import Blame

WHY = "PyTorch drops numbers in training, Flax does not; all else was compared without this dropout"
AWAKE = (
    "PyTorch drops numbers in evaluation, too, as F.dropout does unless it is told training=self.training, Flax in"
    " training alone (deterministic=False in the call is right); all else was compared without this dropout"
)


def lone_rows(places: Sequence[str], awake: Sequence[str] = ()) -> list[Row]:
    """Returns a failing row for each place of PyTorch's that drops alone; `awake`: in evaluation."""
    rows = [failure(Key(1, "forward", _tensor(place)), WHY) for place in places]
    return rows + [failure(Key(1, "evaluation", _tensor(place)), AWAKE) for place in awake]


def _tensor(place: str) -> str:
    return f"{_module(place)}.dropout".lstrip(".")


def blame_lone(places: Sequence[str], awake: Sequence[str] = ()) -> Blame | None:
    """Returns the first of the places, and in its text all of them."""
    for alone, direction, cause, why in (
        (places, "forward", "dropout-missing", WHY),
        (awake, "evaluation", "dropout-in-evaluation", AWAKE),
    ):
        if alone:
            listed = ", ".join(place or "the body" for place in alone)
            return Blame(_module(alone[0]), direction, cause, f"{listed}: {why}")
    return None


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
