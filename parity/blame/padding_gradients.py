"""Embeddings that Flax keeps in no layer of its own, and that send gradients to the row for padding there."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch

Lookups = Mapping[str, torch.nn.Embedding]


def padding_trials(model: torch.nn.Module, run: Callable[[], list[np.ndarray]]) -> Iterator[tuple]:
    """Yields the gradients where the row for padding learns as others do: of each embedding, then of all."""
    lookups = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Embedding)}
    padded = {name: module for name, module in lookups.items() if module.padding_idx is not None}
    single = [{name: module} for name, module in padded.items()]
    for some in [*single, padded] if len(single) > 1 else single:
        with _learning(some):
            gradients = run()
        rows = " and ".join(f"row {module.padding_idx} of {name}" for name, module in some.items())
        yield "padding-idx", f"Flax sends gradients to {rows}, PyTorch's padding_idx, which learns nothing", gradients


@contextmanager
def _learning(lookups: Lookups) -> Iterator[None]:
    rows = {name: module.padding_idx for name, module in lookups.items()}
    for module in lookups.values():
        module.padding_idx = None
    try:
        yield
    finally:
        for name, module in lookups.items():
            module.padding_idx = rows[name]
