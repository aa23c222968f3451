"""Dropout of attention that Flax draws once for the whole batch and all heads."""

from collections.abc import Sequence

from parity.arrays.key import Key
from parity.compare.rows import Row, failure
from parity.result import Blame

WHY = "one mask for all examples and heads (broadcast_dropout=True is Flax's default), PyTorch one for each"


def shared_rows(sites: Sequence[str]) -> list[Row]:
    """Returns a failing row for each submodule; all else has been compared on equal masks."""
    return [failure(Key(1, "forward", f"{site}.dropout".lstrip(".")), f"Flax draws {WHY}") for site in sites]


def blame_shared(sites: Sequence[str]) -> Blame | None:
    """Returns the first of the submodules as the place."""
    if not sites:
        return None
    return Blame(sites[0], "forward", "broadcast-dropout", f"{sites[0] or 'the body'}, dropout: Flax draws {WHY}")
