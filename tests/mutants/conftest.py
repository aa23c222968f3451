"""One worker for the tests of this folder."""

from collections.abc import Iterator

import pytest

from parity.mutants.workers import Workers


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    with Workers(1) as started:
        yield started
