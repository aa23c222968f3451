"""Two recordings -> a Result. Numpy only."""

from d2l_jax.errors import InputError
from parity.compare.policy import POLICY, Policy
from parity.compare.precision import compare_precision
from parity.compare.rows import Row
from parity.compare.semantics import compare_semantics
from parity.offline.file import Recording
from parity.result import Result


def compare_recordings(left: Recording, right: Recording, policy: Policy = POLICY) -> Result:
    """The rows of `parity check`, but for layers on their own and free runs: these need both frameworks at once.

    left, right: in any order; one is PyTorch's and says how far apart is too far. Of two of PyTorch's, the first does

    Raises InputError where they are not runs of the same case on the same states and batches.
    """
    if left.about.side != "torch":
        left, right = right, left
    _check(left, right)
    rows: dict[str, list[Row]] = {}
    about = left.about
    oracle = left.records["float64"]
    for tier, record in right.records.items():
        if tier == "float64":
            limits = about.noise, about.longest_sum, policy, about.subtracted, left.spread, about.corrected
            rows[tier] = compare_semantics(oracle, record, *limits)
        else:
            errors = about.errors[tier]
            limits = about.longest_sum, tier, policy, about.subtracted, about.corrected
            rows[tier] = compare_precision(oracle, errors, record, *limits)
    settings = {"probes": about.probes}
    for recording, role in ((left, "left"), (right, "right")):
        settings |= {f"{role} {key}": value for key, value in recording.about.environment.items()}
    return Result(about.name, about.section, about.params, rows, settings=settings)


def _check(left: Recording, right: Recording) -> None:
    """Raises InputError; `left` should be PyTorch's."""
    a = left.about
    b = right.about
    if a.side != "torch":
        raise InputError("both files are Flax's; one of the two must come from --side torch")
    if (a.name, a.full) != (b.name, b.full):
        named = (f"{about.name}{' in full size' if about.full else ''}" for about in (a, b))
        raise InputError("the files are of different cases: {} and {}".format(*named))
    if a.given != b.given:
        raise InputError(f"{a.name}: the files start from different states; record the second with --given FIRST")
    if missing := [tier for tier in right.records if tier != "float64" and tier not in a.errors]:
        raise InputError(f"{a.name}: PyTorch's file has no {missing[0]} run")
    if "float64" not in left.records:
        raise InputError(f"{a.name}: PyTorch's file has no float64 run")
