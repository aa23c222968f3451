"""torch.compile from nothing: its caches are empty before, and its processes are gone after."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import torch

from parity.bench.limit import time_limit
from parity.bench.programs import Program


def compiled(make: Callable[[Callable], Program], limit: float, mode: str | None, device: str) -> Program:
    """The program that `make` gives for a compiler; its first call, which compiles, is its `compile_s`.

    mode: of `torch.compile`; device: PyTorch's
    Raises `TooSlow` when compiling and three calls have taken `limit` seconds. Call it within `empty_caches`.
    """
    start_compiler(device)
    with time_limit(limit):
        program = make(lambda function: torch.compile(function, mode=mode))
    return replace(program, start=replace(program.start, compile_s=program.start.first_calls_s[0]))


@cache
def start_compiler(device: str) -> None:
    """Starts the compiler once per process, untimed: a first `torch.compile` sets up what is no cost of one model."""
    with empty_caches():
        torch.compile(lambda x: x * 2)(torch.ones(8, device=device))


@contextmanager
def empty_caches() -> Iterator[None]:
    """Starts a block with nothing compiled, and leaves no compiler process over after it.

    What was compiled before compiles again when it is called.
    """
    from torch._inductor import async_compile, utils

    fresh_cache = getattr(utils, "fresh_cache", None) or utils.fresh_inductor_cache
    torch.compiler.reset()
    try:
        with fresh_cache():
            yield
    finally:
        async_compile.shutdown_compile_workers()
