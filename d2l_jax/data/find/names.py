"""Data set names in any spelling."""

from collections.abc import Iterable


def spelled(name: str, known: Iterable[str]) -> str | None:
    """Which of `known` is meant by `name`, whatever its case, hyphens and underscores; None if none is."""
    return {_bare(each): each for each in known}.get(_bare(name))


def _bare(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
