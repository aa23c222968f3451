"""PyTorch's attention as the dense layers that it is made of, with what flowed through each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch


@dataclass
class Projection:
    """A dense layer within an attention.

    names, rows: of its weight and bias in the attention
    module:      a dense layer of these sizes
    """

    name: str
    names: dict[str, str]
    module: torch.nn.Linear
    inputs: list[np.ndarray]
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)


@contextmanager
def slow_attention() -> Iterator[None]:
    """Switches off the fast path of transformers, which does not call its submodules."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def projections(
    module: torch.nn.MultiheadAttention, inputs: list[list[np.ndarray]], attended: list[np.ndarray]
) -> list[Projection]:
    """Query, key, value, all three at once where they are one matrix, and output.

    inputs:   query, key and value of each call
    attended: what the output projection was given, in rows that count the sequence first
    """
    width = module.embed_dim
    whole = module.in_proj_weight is not None
    parts = []
    for number, name in enumerate(("query", "key", "value")):
        size = (width, (module.kdim, module.vdim)[number - 1]) if number else (width, width)
        rows = (number * width, (number + 1) * width)
        parts.append(
            Projection(
                name,
                {"weight": "in_proj_weight" if whole else f"{name[0]}_proj_weight", "bias": "in_proj_bias"},
                _dense(size[1], size[0]),
                [call[number] for call in inputs if len(call) > number],
                {"weight": rows, "bias": rows} if whole else {"bias": rows},
            )
        )
    if whole:
        names = {"weight": "in_proj_weight", "bias": "in_proj_bias"}
        parts.append(Projection("in_proj", names, _dense(width, 3 * width), parts[0].inputs))
    names = {"weight": "out_proj.weight", "bias": "out_proj.bias"}
    outputs = [_sequence_first(x, call[0], module.batch_first) for x, call in zip(attended, inputs)]
    return [*parts, Projection("out", names, _dense(width, width), outputs)]


def _dense(inputs: int, outputs: int) -> torch.nn.Linear:
    return torch.nn.Linear(inputs, outputs, device="meta")


def _sequence_first(x: np.ndarray, query: np.ndarray, batch_first: bool) -> np.ndarray:
    if query.ndim < 3:
        return x.reshape(*query.shape[:-1], -1)
    batch, length = query.shape[:2] if batch_first else query.shape[1::-1]
    return x.reshape(length, batch, -1)
