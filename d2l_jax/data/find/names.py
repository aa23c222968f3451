"""Data set names in any spelling."""

from collections.abc import Iterable


def spelled(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that equals `name` but for capitals, hyphens and underscores; None if there is none."""
    return {_bare(each): each for each in known}.get(_bare(name))


def _bare(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
