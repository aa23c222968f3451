"""Recurrent layers: PyTorch's stack of them taken apart, and the variables of Flax's cells.

PyTorch keeps the gates of a layer (LSTM: i, f, g, o; GRU: r, z, n) as rows of one matrix, and a bias for the input
and one for the hidden state; Flax's cells keep one bias where the two are only added, and some have a dense layer
for each gate.
"""

import re
from collections.abc import Iterator

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from d2l_jax.weights.leaf import Leaf
from parity.models.packed import Packed

GATES = {"LSTM": "ifgo", "GRU": "rzn", "RNN": ""}
OWN = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}
USUAL = re.compile(r"(?:.*\.)?((?:weight|bias)_[ih]h)(?:_l0)?(?:_raw|_orig)?")
NAME = re.compile(r"(?:dense_)?([ih])([ifgorzn]?)_?")


def by_depth(module: torch.nn.RNNBase, calls: list[tuple]) -> Iterator[tuple[str, bool, list[tuple]]]:
    """Yields (suffix of its tensors' names, backward, [(input, (output, final states), valid)]) of every direction.

    Sequences are batch first there, whatever `module` says; packed ones are padded, their outputs with zeros, and
    `valid`, (batch, time), tells where they are no padding; None of others.
    """
    directions = 2 if module.bidirectional else 1
    sequences = [_batch_first(module, *call[:2]) for call in calls]
    sequences = [call for call in sequences if call is not None]
    for depth in range(module.num_layers):
        outputs = []
        for backward in range(directions):
            suffix = f"_l{depth}{'_reverse' if backward else ''}"
            row = depth * directions + backward
            states = [tuple(state[row : row + 1] for state in hidden) for _, hidden, _ in sequences]
            runs = [
                (x, _single(module, suffix, bool(backward), x, hidden, lengths), _valid(x, lengths))
                for (x, _, lengths), hidden in zip(sequences, states, strict=True)
            ]
            outputs.append([output for _, (output, *_), _ in runs])
            yield suffix, bool(backward), runs
        joined = [torch.cat(both, -1) for both in zip(*outputs, strict=True)]
        sequences = [(x, *rest) for x, (_, *rest) in zip(joined, sequences, strict=True)]


def _valid(x: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor | None:
    return None if lengths is None else torch.arange(x.shape[1]) < lengths.cpu()[:, None]


def _batch_first(module: torch.nn.RNNBase, args: tuple, kwargs: dict) -> tuple | None:
    """Returns (sequence, hidden states, lengths of a packed one)."""
    x, hidden = (*args, *kwargs.values(), None)[:2]
    batch_first = module.batch_first
    lengths = None
    if isinstance(x, Packed):
        x, lengths, batch_first = x
    if not isinstance(x, torch.Tensor) or x.ndim != 3:
        return None
    x = x if batch_first else x.transpose(0, 1)
    return x, () if hidden is None else tuple(hidden) if isinstance(hidden, tuple) else (hidden,), lengths


def _single(
    module: torch.nn.RNNBase, suffix: str, backward: bool, x: torch.Tensor, hidden: tuple, lengths: torch.Tensor | None
) -> tuple:
    """The output of one direction of one layer, in the order of `x`, and its final states."""
    options = {"nonlinearity": module.nonlinearity} if isinstance(module, torch.nn.RNN) else {}
    if getattr(module, "proj_size", 0):
        options["proj_size"] = module.proj_size
    kind = next(kind for kind in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN) if isinstance(module, kind))
    single = kind(x.shape[-1], module.hidden_size, bias=module.bias, batch_first=True, **options).double()
    with torch.no_grad():
        for name, parameter in single.named_parameters():
            parameter.copy_(getattr(module, name.removesuffix("_l0") + suffix))
        states = hidden[0] if len(hidden) == 1 else hidden or None
        x = reversed_sequences(x, lengths) if backward else x
        given = x if lengths is None else pack_padded_sequence(x, lengths.cpu(), True, enforce_sorted=False)
        output, last = single(given, states)
        if lengths is not None:
            output, _ = pad_packed_sequence(output, True, total_length=x.shape[1])
        output = reversed_sequences(output, lengths) if backward else output
    return output, *(last if isinstance(last, tuple) else (last,))


def reversed_sequences(x: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    """Returns the sequences from their ends; what is behind an end stays where it is."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1])
    lengths = lengths[:, None]
    order = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return x.gather(1, order[..., None].expand(x.shape))


def kind_within(module: torch.nn.Module) -> str | None:
    """Names the kind of a recurrent layer, or of the first within a module."""
    return next((kind for part in module.modules() if (kind := kind_of(part))), None)


def kind_of(module: torch.nn.Module) -> str | None:
    """Names the kind, LSTM, GRU or RNN, for layers and cells alike."""
    kinds = {
        "LSTM": (torch.nn.LSTM, torch.nn.LSTMCell),
        "GRU": (torch.nn.GRU, torch.nn.GRUCell),
        "RNN": (torch.nn.RNN, torch.nn.RNNCell),
    }
    return next((name for name, types in kinds.items() if isinstance(module, types)), None)


def recurrent_names(tensors: dict[str, str]) -> dict[str, str]:
    """Returns tensors by the names of a recurrent layer, where those of one and of the module around it make one."""
    usual = {USUAL.sub(r"\1", name): key for name, key in tensors.items()}
    return usual if {*usual} <= OWN and len(usual) == len(tensors) else tensors


def sources(
    kind: str, hidden: int, names: list[tuple[str, str]]
) -> list[tuple[tuple[str, ...], tuple[int, int] | None]] | None:
    """Lists for each variable (part of the cell, kernel or bias) PyTorch's tensors whose sum it is, and rows.

    None if `names` are not those of a cell of this kind.
    """
    parsed = [(NAME.fullmatch(part), variable) for part, variable in names]
    if any(match is None or variable not in ("kernel", "bias") for match, variable in parsed):
        return None
    split = [(match[1], match[2], variable) for match, variable in parsed if match]
    if any(gate not in GATES[kind] for _, gate, _ in split) or not {"i", "h"} <= {side for side, _, _ in split}:
        return None
    return [_source(kind, hidden, *item, split) for item in split]


def _source(kind: str, hidden: int, side: str, gate: str, variable: str, split: list[tuple]) -> tuple:
    row = GATES[kind].index(gate) if gate else 0
    rows = (row * hidden, (row + 1) * hidden) if gate else None
    if variable == "kernel":
        return (f"weight_{side}h",), rows
    alone = ("h" if side == "i" else "i", gate, "bias") not in split
    # The GRU's candidate keeps its hidden bias apart, within the reset gate: no single bias can stand for both.
    merged = alone and not (kind == "GRU" and gate in ("", "n"))
    return (("bias_ih", "bias_hh") if merged else (f"bias_{side}h",)), rows


def foreign_biases(leaves: list[Leaf]) -> int:
    """Counts the biases that stand in one dense layer with the kernel of the other side, input or state."""
    sides = {leaf.path[:-1]: leaf.key.split("weight_")[-1] for leaf in leaves if len(leaf.shape) == 2}
    biases = [leaf for leaf in leaves if len(leaf.shape) == 1 and not leaf.merged]
    return sum(leaf.key.split("bias_")[-1] != sides.get(leaf.path[:-1]) for leaf in biases)
