"""Sets JAX for every test: float64 is on, though models start in float32; dtypes and ranks are strict."""

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # workers, and what the tests start, inherit it
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder = tempfile.mkdtemp()
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"  # many small programs are the same
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

gc.disable()  # until the tests are collected: what is imported stays

import jax  # noqa: E402
import pytest  # noqa: E402
from jax.experimental.compilation_cache.compilation_cache import reset_cache  # noqa: E402

from d2l_jax import patience  # noqa: E402

patience.FIRST = 1e6  # what tests read goes by no clock
pytest.register_assert_rewrite("matching", "small_runs")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")

DTYPES = "jax_numpy_dtype_promotion"
RANKS = "jax_numpy_rank_promotion"
STANDARD = {DTYPES: "standard", RANKS: "allow"}  # JAX's own settings, under which users' programs run
jax.config.update(DTYPES, "strict")
jax.config.update(RANKS, "raise")

USERS = {
    "parity": "models and steps of users are checked, which may promote",
    "selftest": "faults in models and steps of users",
    "bench": "whole steps of models, timed as users run them",
    "test_examples.py": "scripts of users",
    "test_notes.py": "scripts of users",
}
PROMOTING = {
    DTYPES: USERS | {"test_lowering.py": "errors of few digits are measured in many"},
    RANKS: USERS,
}


def pytest_collection_finish() -> None:
    """Lets the garbage collector look for what tests leave, and no longer through a million objects that stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


@pytest.fixture
def set_jax() -> Iterator[Callable[[str, Any], None]]:
    """Returns a function of (name, value) that changes a setting of JAX's until the test ends."""
    before = {}

    def change(name: str, value: Any) -> None:
        before.setdefault(name, jax.config.values[name])
        jax.config.update(name, value)
        reset_cache()  # which remembers what it was told first

    yield change
    for name, value in before.items():
        change(name, value)


@pytest.fixture
def promoting(set_jax: Callable[[str, Any], None]) -> None:
    """Promotes dtypes and ranks as in a user's program; for code that is not this project's."""
    for name, value in STANDARD.items():
        set_jax(name, value)


@pytest.fixture(scope="module", autouse=True)
def promotion_where_users_write(request: pytest.FixtureRequest) -> Iterator[None]:
    """Promotes dtypes or ranks in the modules that `PROMOTING` lists; before their own fixtures."""
    parts = request.path.relative_to(Path(__file__).parent).parts
    settings = [name for name, places in PROMOTING.items() if not places.keys().isdisjoint(parts)]
    before = {name: jax.config.values[name] for name in settings}
    for name in settings:
        jax.config.update(name, STANDARD[name])
    yield
    for name, value in before.items():
        jax.config.update(name, value)
