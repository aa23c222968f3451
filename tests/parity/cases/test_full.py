"""The large models at the book's sizes: minutes and gigabytes, so `make test-all` only."""

import pytest

from d2l_jax.catalog import CASES
from parity.proof.cases import check_case

TRAINED = [case for case in CASES if case.data and case.inputs]  # what is drawn has the sizes of the check


@pytest.mark.slow
@pytest.mark.parametrize("case", TRAINED, ids=lambda case: case.name)
def test_the_book_sizes_pass(case):
    result = check_case(case, full=True)
    bad = [row for rows in result.rows.values() for row in rows if not row.passed]
    assert result.status == "pass", (result.error, bad[:5])
