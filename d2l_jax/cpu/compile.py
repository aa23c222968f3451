"""`jax.jit` with the options that serve this library's programs on a CPU."""

from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any

import jax
from jax.core import Tracer

YNN_FUSIONS = "xla_cpu_experimental_ynn_fusion_type"
# Left to themselves, jaxlib 0.10 sends to YNNPACK: convolutions, which are slower there; dense layers that
# follow each other, in one call, twelve times slower for few images; and sums, which give wrong numbers from row
# 32,768 on (jax issue 39103). Single products are faster there, and right. Vectors would stop at 256 bits.
CPU_OPTIONS = {YNN_FUSIONS: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT", "xla_cpu_prefer_vector_width": "512"}


def jit(function: Callable, **options: Any) -> Callable:
    """`jax.jit(function, **options)`; within another `jit`, which allows no options, the function itself.

    JAX begins with the first call: a module may jit its functions, and devices be chosen behind its import.
    """

    @cache
    def compiled() -> Any:
        return jax.jit(function, compiler_options=cpu_options(), **options)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        inside = any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((args, kwargs)))
        return function(*args, **kwargs) if inside else compiled()(*args, **kwargs)

    call.lower = lambda *args, **kwargs: compiled().lower(*args, **kwargs)  # type: ignore[attr-defined]
    return call


@cache
def cpu_options() -> dict[str, str] | None:
    """The part of `CPU_OPTIONS` that this version of XLA knows; None on other platforms."""
    return known(CPU_OPTIONS) or None


def known(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that this version of XLA knows; none on other platforms than a CPU."""
    return {name: value for name, value in options.items() if _knows(name, value)}


@cache
def _knows(name: str, value: Any) -> bool:
    if jax.default_backend() != "cpu":
        return False
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
