"""For pytest: the fixture `check_parity`. Installed with the package; else `pytest_plugins = ["parity.plugin"]`.

def test_my_port(check_parity):
    check_parity(flax_model, torch_model, inputs, optimizer=...)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # every run of pytest loads this file: PyTorch and JAX wait until they are needed
    from parity.result import Result


@pytest.fixture
def check_parity() -> Callable[..., Result]:
    """The function of `check_parity(flax_model, torch_model, inputs, **options)`, options as of `parity.check`.

    Returns the Result if both models are the same; else the test fails, and says what is wrong first.
    Raises InputError where the two cannot be compared.
    """
    return demand


@pytest.fixture
def parity(check_parity: Callable[..., Result]) -> Callable[..., Result]:
    """The older name of `check_parity`; in a test that takes it, `import parity` is out of sight."""
    return check_parity


def demand(*models: Any, **options: Any) -> Result:
    """Fails the test where the models differ; see `check_parity`."""
    from parity.own_pair import check

    result = check(*models, **options)
    if not result:
        pytest.fail(repr(result), pytrace=False)
    return result
