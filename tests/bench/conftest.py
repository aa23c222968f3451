"""In every test of the bench, both frameworks take one thread."""

import pytest

from parity.bench import conditions


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Two threads of PyTorch that contend with other work wait for each other."""
    monkeypatch.setattr(conditions, "cpu_threads", lambda: 1)
