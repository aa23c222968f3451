"""What fails in a twin's single steps: their rows alone, without layers on their own, steps in a row or a blame."""

from unittest.mock import patch

from parity.compare import probes
from parity.environment import pinned
from parity.proof.checking import PROBES, Checking
from parity.proof.steps import Kept, Sides, single_steps
from parity.twin.twin import Twin


def failing(twin: Twin, tier: str = "float64") -> list[str]:
    """Returns the names of the rows that fail where a mistake is planted, in the order in which a whole check has them.

    It is far above noise: no more of that is measured where a row fails, which is most of a check's time.
    """
    with patch.object(probes, "MOST_PROBES", PROBES):
        return failing_after_all(twin, tier)


def failing_after_all(twin: Twin, tier: str = "float64") -> list[str]:
    """Returns the names of the rows that fail after as much noise has been measured as a whole check measures."""
    checking = Checking(tiers=(tier,))
    with pinned(tf32=False):
        rows, _ = single_steps(twin, checking, Sides.of(twin, checking), Kept())
    return [str(row.key) for row in rows[tier] if not row.passed]
