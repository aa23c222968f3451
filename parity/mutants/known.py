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


KNOWN = (
    Known(
        "d2l_jax/generate/beam.py",
        "",
        "beam = _first(state, steps, bos, eos, width, jax.tree.leaves(params)[0].dtype)",
        "0 -> 1",
        "all parameters have one dtype",
    ),
    Known(
        "d2l_jax/generate/beam.py",
        "",
        "return log_p[0], state",
        "0 -> 1",
        "there is one row, and JAX reads the last for a number beyond it",
    ),
    Known(
        "d2l_jax/models/attention.py",
        "masked_softmax",
        "",
        "1000000.0 -> 2000000.0",
        "the exponential of either is 0",
    ),
    *(
        Known("d2l_jax/models/mobilenet.py", "", code, label, "channels are rounded to multiples of 8")
        for code, label in (("(1, 16, 1, 1),", "16 -> 17"), ("(6, 160, 3, 2),", "160 -> 159"))
    ),
    Known(
        "d2l_jax/nn/pool.py",
        "AvgPool2d.__call__",
        "if self.stride != self.kernel_size or self.padding != (0, 0):",
        "0 -> 1",
        "takes Flax's pooling for the means of tiles, which are the same",
    ),
    Known(
        "d2l_jax/optim/gradient.py",
        "maximized",
        'if not options.any("maximize"):',
        "not x -> x",
        "without `maximize`, which no case has, the transformation changes nothing",
    ),
    Known(
        "d2l_jax/optim/slots.py",
        "average",
        "return old + weight * (new - old) if weight < 0.5 else new - keep * (new - old)",
        "< -> >=",
        "both are the same average but for rounding",
    ),
)


def reason_of(mutant: Mutant, known: Sequence[Known] = KNOWN) -> str:
    """Returns why a mutant is equivalent, as far as it is known; else nothing."""
    return next((entry.reason for entry in known if entry.fits(mutant.place, mutant.label)), "")


def stale(places: Iterable[Place], files: Sequence[str], known: Sequence[Known] = KNOWN) -> list[Known]:
    """Lists the entries that speak of one of the files, and of no place there any more."""
    every = [(place, label) for place in places for label in place.labels]
    return [entry for entry in known if entry.file in files and not any(entry.fits(*pair) for pair in every)]
