"""Hypotheses are tried on small tensors, hundreds of times: more than one thread would mostly wait."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Limits PyTorch to one thread; afterwards it has as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def same_draws() -> Iterator[None]:
    """Seeds PyTorch's CPU generator; afterwards it goes on as if nothing had been drawn."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(0)
    try:
        yield
    finally:
        torch.set_rng_state(before)
