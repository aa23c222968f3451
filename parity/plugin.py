"""For pytest: the fixture `parity`. Installed with the package; else `pytest_plugins = ["parity.plugin"]`.

def test_my_port(parity):
    parity(flax_model, torch_model, inputs, optimizer=...)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # every run of pytest loads this file: PyTorch and JAX wait until they are needed
    from parity.result import Result

ROWS = 5


@pytest.fixture
def parity() -> Callable[..., Result]:
    """`parity(flax_model, torch_model, inputs, **options)` or `parity("lenet")`, options as of `parity.check`.

    Returns the Result if both models are the same; else the test fails, and says what is wrong first.
    Raises InputError where the two cannot be compared.
    """
    return demand


def demand(*models: Any, **options: Any) -> Result:
    """Fails the test where the models differ; see `parity`."""
    from parity.own_pair import check

    result = check(*models, **options)
    if result.status != "pass":
        pytest.fail(message(result), pytrace=False)
    return result


def message(result: Result) -> str:
    """Says who is wrong first, then lists the rows that are furthest beyond their limits."""
    from parity.report.order import failures, ratio
    from parity.report.wording import describe, first_wrong

    if result.status == "error":
        return f"{result.name}: {result.error or 'nothing was compared'}"
    bad = sorted(failures(result), key=lambda failure: ratio(failure[1]), reverse=True)
    compared = sum(map(len, result.rows.values()))
    lines = [f"{result.name}: Flax and PyTorch differ in {len(bad)} of {compared} comparisons", first_wrong(result)]
    lines += [f"{tier} {describe(row)}" for tier, row in bad[:ROWS]]
    lines += [f"... and {len(bad) - ROWS} more"] if len(bad) > ROWS else []
    return "\n  ".join(filter(None, lines))
