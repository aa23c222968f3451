"""Dropout that one side alone has, or PyTorch in evaluation, too: it drops nothing, and all else is compared."""

from collections.abc import Sequence

from parity.arrays.key import Key
from parity.blame.diagnosis.cause import Cause
from parity.compare.rows import Row, failure
from parity.result import Blame

WHY = "PyTorch drops numbers in training, Flax does not; all else was compared without this dropout"
EXTRA = "Flax drops numbers in training, PyTorch does not; all else was compared without this dropout"
MOVED = (
    "; perhaps both are one dropout, in another place in Flax, or of whole channels on one side (Dropout2d,"
    " broadcast_dims)"
)
AWAKE = (
    "PyTorch drops numbers in evaluation, too, as F.dropout does unless it is told training=self.training, Flax in"
    " training alone (deterministic=False in the call is right); all else was compared without this dropout"
)


def lone_rows(places: Sequence[str], awake: Sequence[str] = (), extra: Sequence[str] = ()) -> list[Row]:
    """Returns a failing row for each place of PyTorch's that drops alone; `awake`: in evaluation; `extra`: Flax's."""
    rows = [failure(Key(1, "forward", _tensor(place, "dropout")), WHY) for place in places]
    in_flax = [_tensor(place, f"dropout in Flax {_call(place)}".strip()) for place in extra]
    rows += [failure(Key(1, "forward", name), EXTRA) for name in in_flax]
    return rows + [failure(Key(1, "evaluation", _tensor(place, "dropout")), AWAKE) for place in awake]


def _tensor(place: str, name: str) -> str:
    return f"{_module(place)}.{name}".lstrip(".")


def blame_lone(places: Sequence[str], awake: Sequence[str] = (), extra: Sequence[str] = ()) -> Blame | None:
    """Returns the first of the places, and in its text all of them; those of either side where both have some."""
    kinds = (
        (places, "forward", "dropout-missing", WHY),
        (extra, "forward", "dropout-added", EXTRA + MOVED * bool(places)),
        (awake, "evaluation", "dropout-in-evaluation", AWAKE),
    )
    found = [_blamed(alone, direction, cause, why) for alone, direction, cause, why in kinds if alone]
    return found[0].with_others(found[1:]) if found else None


def _blamed(places: Sequence[str], direction: str, cause: str, why: str) -> Blame:
    listed = ", ".join(place or "the body" for place in places)
    return Blame(_module(places[0]), direction, cause, f"{listed}: {why}")


def _call(place: str) -> str:
    """Returns which call of several in that place it is."""
    return place.partition(" ")[2] if _module(place) else ""


def _module(place: str) -> str:
    """Returns the submodule's name; a place in its own body is followed by the layer before it, or is a line."""
    return "" if place.startswith(("after ", "`")) else place.partition(" ")[0]


def drawn_alone(places: Sequence[str]) -> Cause:
    """Returns that Flax drops in evaluation, too."""
    text = (
        f"Flax draws random numbers in evaluation, too, {', '.join(places)}, PyTorch none: a dropout that is not"
        " told that nothing is trained (deterministic=True)"
    )
    return Cause("dropout-in-evaluation", text, 0.0)
