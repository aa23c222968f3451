"""Changes that no check can notice, each with the reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from parity.mutants.mutant import Mutant
from parity.mutants.places import Place


@dataclass(frozen=True)
class Known:
    """A change that is equivalent, or whose effect another test proves.

    file, within, code: of the place, see `Place`; "" is every class, function or line
    label:  of the change, "+ -> -"; "" is every one
    reason: for people
    """

    file: str
    within: str
    code: str
    label: str
    reason: str

    def fits(self, place: Place, label: str) -> bool:
        """Tells whether it speaks of this change."""
        here = self.file == place.file and self.within in ("", place.within)
        return here and self.code in ("", place.code) and self.label in ("", label)


KNOWN: tuple[Known, ...] = ()


def reason_of(mutant: Mutant, known: Sequence[Known] = KNOWN) -> str:
    """Returns why a mutant is equivalent, as far as it is known; else nothing."""
    return next((entry.reason for entry in known if entry.fits(mutant.place, mutant.label)), "")


def stale(places: Iterable[Place], files: Sequence[str], known: Sequence[Known] = KNOWN) -> list[Known]:
    """Lists the entries that speak of one of the files, and of no place there any more."""
    every = [(place, label) for place in places for label in place.labels]
    return [entry for entry in known if entry.file in files and not any(entry.fits(*pair) for pair in every)]
