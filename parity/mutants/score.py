"""What became of every mutant, as plain data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from parity.mutants.known import Known
from parity.mutants.mutant import Mutant

CAUGHT = ("caught", "error", "timeout", "crashed")
VERDICTS = (*CAUGHT, "survived", "equivalent", "not reached")


@dataclass(frozen=True)
class Outcome:
    """A mutant, and what the check made of it.

    verdict: one of `VERDICTS`: "caught" in a comparison; or an error, a timeout or a crash, which are noticed too;
             "survived"; "equivalent", a survivor that `known` explains; "not reached", no case takes this path
    case:    the last case that was checked
    detail:  for people
    cases:   how many reach the place
    phase:   of the first comparison that has noticed it, "start" of fresh models; "" where none has
    """

    mutant: Mutant
    verdict: str
    case: str = ""
    detail: str = ""
    seconds: float = 0.0
    cases: int = 0
    phase: str = ""

    @property
    def line(self) -> str:
        """Returns the outcome in one line."""
        by = f" by {self.case}" if self.case else ""
        seconds = f", {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.verdict}{by}{seconds}: {self.mutant.text}"


@dataclass(frozen=True)
class Score:
    """The outcomes of a run, in the order of the draw.

    places: how many could be drawn from
    unfit:  {case: why it says nothing: unchanged, it does not pass}
    stale:  entries of `known` that speak of no place
    """

    seed: int
    places: int
    outcomes: Sequence[Outcome] = ()
    unfit: dict[str, str] = field(default_factory=dict)
    stale: Sequence[Known] = ()

    @property
    def counts(self) -> Counter[str]:
        """Returns the number of outcomes by verdict."""
        return Counter(outcome.verdict for outcome in self.outcomes)

    @property
    def noticed(self) -> int:
        """Returns the number of mutants that the check has noticed."""
        return sum(self.counts[verdict] for verdict in CAUGHT)

    @property
    def reached(self) -> int:
        """Returns the number of mutants that any case reaches."""
        return len(self.outcomes) - self.counts["not reached"]

    @property
    def share(self) -> float:
        """Returns the noticed among the reached, equivalent ones counted as survivors."""
        return self.noticed / self.reached if self.reached else 0.0

    @property
    def of_different(self) -> float:
        """Returns the noticed among the reached that are not known to be equivalent."""
        different = self.reached - self.counts["equivalent"]
        return self.noticed / different if different else 0.0

    @property
    def without_start(self) -> float:
        """Returns the share if fresh models were not compared as they are."""
        by_start = sum(outcome.verdict == "caught" and outcome.phase == "start" for outcome in self.outcomes)
        return (self.noticed - by_start) / self.reached if self.reached else 0.0

    @property
    def good(self) -> bool:
        """Tells if every survivor is explained, every explanation is needed, and every case was fit."""
        return not (self.counts["survived"] or self.stale or self.unfit)
