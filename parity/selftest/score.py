"""The findings of the selftest as plain data."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Planted:
    """A planted bug, and what the check made of it.

    caught, placed, named: the bug was seen, at its place, by its cause
    layer, cause, text:    the check's blame, in its own words
    anchors:               names of the anchors that caught it too
    """

    name: str
    pair: str
    place: str
    causes: tuple[str, ...]
    caught: bool
    placed: bool
    named: bool
    layer: str
    cause: str
    text: str
    anchors: tuple[str, ...]
    seconds: float

    @property
    def status(self) -> str:
        return (
            "missed" if not self.caught else "misplaced" if not self.placed else "caught" if self.named else "not named"
        )


@dataclass(frozen=True)
class Correct:
    """A correct twin; alarm: what the check held against it, "" if nothing; anchors: those that raised one."""

    name: str
    alarm: str
    anchors: tuple[str, ...]
    seconds: float

    @property
    def status(self) -> str:
        return "false alarm" if self.alarm else "left alone"


@dataclass(frozen=True)
class Score:
    """Every planted bug and every correct twin of a run."""

    bugs: list[Planted] = field(default_factory=list)
    twins: list[Correct] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Tells if all bugs are caught, 95 % placed, 80 % named, and no correct twin is accused."""
        n = len(self.bugs)
        shares = [sum(getattr(bug, what) for bug in self.bugs) for what in ("caught", "placed", "named")]
        enough = shares[0] == n and shares[1] >= 0.95 * n and shares[2] >= 0.8 * n
        return bool(n) and enough and not any(twin.alarm for twin in self.twins)
