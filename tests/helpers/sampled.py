"""Some of many like parameters in every run, the others among the slow checks."""

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(values: Iterable[Any], every: int = 2) -> list:
    """One of `every` values as it is, the others marked as slow; a tuple is the arguments of one call."""
    arguments = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*each, marks=[pytest.mark.slow] * bool(i % every)) for i, each in enumerate(arguments)]
