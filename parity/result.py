"""What a check has found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from d2l_jax.write import replacing
from parity.compare.rows import Row
from parity.environment import circumstances, environment
from parity.report import brief, html, notebook, to_json

if TYPE_CHECKING:
    from parity.blame.diagnosis import Cause
    from parity.start.compare import Started


BODY = "the model's own body"
PLACE = re.compile(r"(?P<place>.+? \(\w+\)), (?P<way>forward|backward|buffers)(?P<why>[:;] .+)")
CALL = re.compile(r" \((?:\w+ number \d+|in (?:all|the) \d+ calls)\b.*\)$")  # which of a function's calls it is


@dataclass(frozen=True)
class Blame:
    """The first guilty place and, where it could be told, the cause.

    layer:     PyTorch's name of the submodule; "" is the model's own body; "loss" and "optimizer" are none of them
    direction: "forward", "backward", "buffers", "loss" or "optimizer"
    cause:     its short name, "" where nothing explains it
    text:      for people
    others:    further layers that are wrong by themselves, which the text names too
    """

    layer: str
    direction: str
    cause: str
    text: str
    others: tuple[Blame, ...] = ()

    def __str__(self) -> str:
        return self.text

    @classmethod
    def because(cls, cause: Cause | None, layer: str, direction: str, place: str) -> Blame:
        """Returns the blame with the place, and the cause where it is known, in words."""
        if cause is None:
            return cls(layer, direction, "", place)
        return cls(layer, direction, cause.name, f"{place}: {cause.text}")

    def with_others(self, others: Sequence[Blame]) -> Blame:
        """Returns the blame with further places that are wrong by themselves, a cause that several share said once."""
        others = [other for number, other in enumerate(others) if not other._repeats([self, *others[:number]])]
        if not others:
            return self
        told: dict[tuple[str, str], list[Blame]] = {} if self.others else {self._reason: [self]}
        for other in others:
            told.setdefault(other._reason, []).append(other)
        texts = [_told_once(blames) for blames in told.values()]
        first = [self.text] if self.others else []
        text, *more = [*first, *texts]
        text = f"{text}; also wrong: {'; '.join(more)}" if more else text
        return replace(self, text=text, others=(*self.others, *others))

    @property
    def _reason(self) -> tuple[str, str]:
        """What is said of the place, without the number of the call; of no layer, the whole text."""
        found = PLACE.fullmatch(self.text)
        return (found["way"], CALL.sub("", found["why"])) if found else ("", self.text)

    def _repeats(self, told: Sequence[Blame]) -> bool:
        """Tells whether this is the body's, and what a layer that it is within has been blamed for already."""
        inside = [other for other in told if other.layer and f"{self.layer}.".startswith(f"{other.layer}.")]
        cause = CALL.sub("", self.text.rpartition(f"in {self.layer}: ")[2])
        return self.text.startswith(BODY) and any(other._reason[1].endswith(f": {cause}") for other in inside)


def _told_once(blames: Sequence[Blame]) -> str:
    """Returns the first one's text, with the places of the others, of which the same is said."""
    places = [found["place"] for blame in blames[1:] if (found := PLACE.fullmatch(blame.text))]
    return f"{blames[0].text}; the same in {', '.join(places)}" if places else blames[0].text


@dataclass(frozen=True)
class Distance:
    """The distance of all parameters after a step of a free run, relative to the way from their start."""

    step: int
    torch32: float
    flax32: float
    between: float
    flax64: float


@dataclass(frozen=True, repr=False)
class Result:
    """The outcome of the check of one twin; "error" where nothing could be compared. True only where all has passed.

    refused:  the models or the call were wrong, and `error` says what would be right
    rows:     by tier, "float64" (semantics) and "float32" (precision)
    skipped:  {layer: why it could not be compared on its own}
    holding:  PyTorch's layers that hold tensors, by name: those that should be compared on their own
    notes:    lines beside the verdict: what could not be compared, and what that means
    evidence: of a failure, the arrays that show it; see `parity.report.repro.evidence_of`
    settings: of the check, among them "weights", "random" or "as they are"
    weights:  of a user's pair, the map that was found; `parity.save_map` keeps it
    start:    every tensor as fresh models of both sides start it, and their modes, in words; of a user's pair this
              informs, and fails only where it is to be compared
    """

    name: str
    section: str
    params: int
    rows: dict[str, list[Row]] = field(default_factory=dict)
    error: str = ""
    refused: bool = False
    seconds: float = 0.0
    blame: Blame | None = None
    trajectory: list[Distance] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    holding: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)
    weights: list[Any] = field(default_factory=list, repr=False, compare=False)
    start: tuple[Started, ...] = field(default=(), repr=False)

    @property
    def status(self) -> str:
        compared = [row for rows in self.rows.values() for row in rows]
        if self.error or not compared:
            return "error"
        return "pass" if all(row.passed for row in compared) else "fail"

    def worst(self, tier: str) -> Row | None:
        """The row that is closest to its threshold, or furthest beyond."""
        rows = [row for row in self.rows.get(tier, []) if row.key.phase != "start" or not row.passed]  # by chance
        return max(rows, key=lambda row: row.gap / max(row.threshold, 1e-300), default=None)

    def __bool__(self) -> bool:
        """Tells whether both models are the same, so that `assert parity.check(...)` means it."""
        return self.status == "pass"

    def __repr__(self) -> str:
        return brief(self)

    def _repr_html_(self) -> str:
        """Returns what a notebook shows."""
        return notebook(self)

    def raise_if_failed(self) -> Result:
        """Returns the result if it has passed, or else raises AssertionError with the verdict, place and cause."""
        if not self:
            raise AssertionError(brief(self))
        return self

    def save_html(self, path: str | Path) -> None:
        """Writes the page of `parity check --html`: every phase, with the tensors closest to their limits."""
        with replacing(Path(path)) as part:
            part.write_text(html([self], self._environment()), encoding="utf-8")

    def to_json(self) -> str:
        """Returns the document of `parity check --json`."""
        return to_json([self], self._environment())

    def _environment(self) -> dict[str, Any]:
        device = self.settings.get("device", "cpu")
        return environment(device, tf32=self.settings.get("tf32", False)) | circumstances()
