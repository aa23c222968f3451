"""What holds for every program while it is timed: precision, threads, caches."""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from parity.bench.precision import Precision
from parity.bench.usage import cpus
from parity.environment import jax_precision, pinned

NAMES_OF_THREADS = "/proc/self/task/*/comm"


def matmul_precision(precision: Precision) -> str:
    """JAX's name for a precision; "highest" and "tensorfloat32" concern float32 alone."""
    return "default" if precision == "bfloat16" else jax_precision(precision == "tf32")


def cpu_threads() -> int:
    """Counts the threads that XLA computes with: its pool is counted, or else the CPUs this process may use."""
    jax.devices("cpu")
    return sum(_thread_name(path) == "tf_XLAEigen" for path in glob.glob(NAMES_OF_THREADS)) or cpus()


def _thread_name(path: str) -> str:
    """Returns the name of a thread, empty where it has ended since it was listed."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


@contextmanager
def same_conditions(precision: Precision = "highest") -> Iterator[None]:
    """Sets one precision on both sides, as many threads for PyTorch as XLA has, no compilation cache.

    PyTorch may take kernels that are not deterministic: they are faster, and XLA does not promise it either.
    What nobody puts elsewhere JAX keeps on the CPU: a GPU compiles each initialiser for long, and counts no arithmetic.
    """
    with (
        pinned(tf32=precision == "tf32", threads=cpu_threads(), deterministic=False),
        jax.default_matmul_precision(matmul_precision(precision)),
        jax.default_device(jax.devices("cpu")[0]),
        _no_compilation_cache(),
    ):
        yield


@contextmanager
def _no_compilation_cache() -> Iterator[None]:
    """Turns the cache off within the block; JAX asks only once whether there is one, until it is reset."""
    cached = jax.config.values["jax_enable_compilation_cache"]
    jax.config.update("jax_enable_compilation_cache", False)
    reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", cached)
        reset_cache()
