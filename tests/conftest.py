"""float64 is on for every test; models still start in float32. What one test has compiled, the next one finds."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # workers, and what the tests start, inherit it
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder = tempfile.mkdtemp()
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

import jax  # noqa: E402
import pytest  # noqa: E402
from jax.experimental.compilation_cache.compilation_cache import reset_cache  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")


@pytest.fixture
def set_jax() -> Iterator[Callable[[str, Any], None]]:
    """(name, value): a setting of JAX's, until the test ends."""
    before = {}

    def change(name: str, value: Any) -> None:
        before.setdefault(name, jax.config.values[name])
        jax.config.update(name, value)
        reset_cache()  # which remembers what it was told first

    yield change
    for name, value in before.items():
        change(name, value)
