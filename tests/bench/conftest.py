"""In every test of the bench, both frameworks take one thread."""

import pytest

from parity.bench import conditions, timing


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Two threads of PyTorch that contend with other work wait for each other."""
    monkeypatch.setattr(conditions, "cpu_threads", lambda: 1)


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    """No test asserts a time: a block need not last."""
    for seconds in ("LEAD_IN_S", "BLOCK_S"):
        monkeypatch.setattr(timing, seconds, 0.0)
