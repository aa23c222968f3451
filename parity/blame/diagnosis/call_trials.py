"""Hypotheses on a call: its mode, its random numbers, its arguments."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from parity.blame.diagnosis.altered.change import forwarding
from parity.blame.diagnosis.altered.others import DROPOUTS
from parity.blame.diagnosis.calls import Call
from parity.blame.diagnosis.factors import DROPOUT_RATES
from parity.blame.diagnosis.written_gradients import derived
from parity.models.packed import Packed

CallTrial = tuple[str, str, Call]


def other_mode(call: Call) -> Iterator[CallTrial]:
    """Evaluation for training, or the other way round."""
    names = ("training", "evaluation") if call.training else ("evaluation", "training")
    stochastic = any(isinstance(part, DROPOUTS) for part in call.module.modules())
    if stochastic and not call.training or isinstance(call.module, _BatchNorm):
        return  # of batch normalisation, the statistics are altered
    if call.training and isinstance(call.module, DROPOUTS):
        text = "Flax's dropout is off, PyTorch's is in training mode"
        yield "dropout-off", text, replace(call, training=False)
        return
    yield "mode", f"Flax runs in {names[1]} mode, PyTorch in {names[0]} mode", replace(call, training=not call.training)


def dropout_mask(call: Call) -> Iterator[CallTrial]:
    """Dropout with Flax's own random numbers, which show as zeros of its output: the other values tell the scale."""
    p = getattr(call.module, "p", None)
    dropped = call.seen == 0
    if not isinstance(call.module, DROPOUTS) or not isinstance(p, float) or not dropped.any() or dropped.all():
        return
    where = "" if call.training else " in evaluation mode"
    if where:
        text = f"Flax drops{where}, PyTorch does not; the others are scaled by 1 / (1 - {p:g})"
        yield "dropout-in-evaluation", text, _masked(call, 1 / (1 - p))
    else:
        text = "the rule is the same, the random numbers are not: other values are dropped in Flax"
        yield "dropout-draws", text, _masked(call, 1 / (1 - p))
    text = f"Flax drops{where} without scaling the others by 1 / (1 - {p:g})"
    yield "dropout-unscaled", text, _masked(call, 1.0)
    text = f"Flax scales by 1 / {p:g}: its rate is PyTorch's probability to keep"
    yield "dropout-complement", text, _masked(call, 1 / p if p else 1.0)
    text = f"Flax scales by 1 - {p:g} where PyTorch scales by its reciprocal"
    yield "dropout-scale", text, _masked(call, 1 - p)
    for rate in DROPOUT_RATES:
        yield "dropout-rate", f"Flax's rate is {rate:g}, PyTorch's {p:g}", _masked(call, 1 / (1 - rate))


def _masked(call: Call, scale: float) -> Call:
    return replace(call, module=_Masked(torch.as_tensor(np.where(call.seen == 0, 0.0, scale))))


class _Masked(nn.Module):
    def __init__(self, mask: torch.Tensor):
        super().__init__()
        self.mask = mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.mask


def arguments_exchanged(call: Call) -> Iterator[CallTrial]:
    """The two arguments in the opposite order."""
    if len(call.args) == 2 and all(isinstance(arg, (np.ndarray, torch.Tensor)) for arg in call.args):
        yield "arguments-exchanged", "Flax's two inputs are exchanged", replace(call, args=call.args[::-1])


def padding_counted(call: Call) -> Iterator[CallTrial]:
    """A packed sequence that does not end at its lengths: what is behind them is padding, and is not compared."""
    for sequence in (arg for arg in call.args if isinstance(arg, Packed)):
        steps = sequence.values.shape[1 if sequence.batch_first else 0]
        if sequence.lengths is not None and bool((sequence.lengths < steps).any()):
            text = (
                f"Flax goes on over the padding, to step {steps} of every sequence (no seq_lengths); PyTorch's packed"
                f" sequences end at their lengths, {sequence.lengths.tolist()}"
            )
            yield "padding-counted", text, replace(call, module=_over_padding(call.module, sequence))


def _over_padding(module: nn.Module, sequence: Packed) -> nn.Module:
    """A copy that runs to the last place of all sequences, whose results still end at their lengths."""
    steps = sequence.values.shape[1 if sequence.batch_first else 0]
    lengths = torch.as_tensor(sequence.lengths).cpu()
    packed = partial(pack_padded_sequence, batch_first=sequence.batch_first, enforce_sorted=False)

    def forward(m: nn.Module, x: PackedSequence, *state: Any) -> Any:
        values = sequence.values.to(x.data.dtype)
        output, *last = type(m).forward(m, packed(values, torch.full_like(lengths, steps)), *state)
        values, _ = pad_packed_sequence(output, sequence.batch_first, total_length=steps)
        return packed(values, lengths), *last

    return forwarding(module, forward)


CALLS: list[Callable[[Call], Iterator[CallTrial]]] = [
    dropout_mask,
    derived,
    other_mode,
    arguments_exchanged,
    padding_counted,
]
