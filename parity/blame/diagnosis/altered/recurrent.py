"""RNN, LSTM and GRU under other conventions."""

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils import rnn

from parity.blame.diagnosis.altered.change import Altered, changed, followed, forwarding, reweighted

GATES = {"LSTM": "ifgo", "GRU": "rzn", "LSTMCell": "ifgo", "GRUCell": "rzn", "RNN": "h", "RNNCell": "h"}
KINDS = (nn.RNNBase, nn.RNNCellBase)


def gates(module: nn.Module) -> Iterator[Altered]:
    """The gates' blocks of all weights and biases in another order."""
    if not isinstance(module, KINDS):
        return
    names = _gates(module)
    size = module.hidden_size
    for order in itertools.permutations(range(len(names))):
        if list(order) != sorted(order):
            shown = ", ".join(names[i] for i in order)
            text = f"Flax takes the gates' blocks in the order {shown}; PyTorch's is {', '.join(names)}"
            index = torch.cat([torch.arange(i * size, (i + 1) * size) for i in order])
            yield "gate-order", text, _with(module, "", lambda w, index=index: w[index])


def biases(module: nn.Module) -> Iterator[Altered]:
    """Biases left out, or 1 added to the forget gate's."""
    if not isinstance(module, KINDS) or not module.bias:
        return
    text = "Flax has the input's bias alone; PyTorch adds a second, of the hidden state"
    yield "second-bias-missing", text, _with(module, "bias_hh", torch.zeros_like)
    text = "Flax has the hidden state's bias alone; PyTorch adds a second, of the input"
    yield "first-bias-missing", text, _with(module, "bias_ih", torch.zeros_like)
    yield "bias-missing", "Flax leaves out both biases", _with(module, "bias", torch.zeros_like)
    names = _gates(module)
    size = module.hidden_size
    for place, gate in enumerate(names if len(names) > 1 else ""):
        text = f"Flax leaves out the hidden state's bias of gate {gate}"
        yield "hidden-bias-missing", text, _with(module, "bias_hh", _block(place, size, lambda b: 0 * b))
    if len(names) == 4:
        text = "Flax adds 1 to the forget gate's bias"
        yield "forget-bias", text, _with(module, "bias_hh", _block(1, size, lambda b: b + 1))
        text = "Flax adds 1 to the bias of the third gate's block"
        yield "forget-bias", text, _with(module, "bias_hh", _block(2, size, lambda b: b + 1))


def complement(module: nn.Module) -> Iterator[Altered]:
    """Computes h' = z n + (1 - z) h instead of (1 - z) n + z h."""
    if isinstance(module, (nn.GRU, nn.GRUCell)):
        text = "Flax's update gate z takes the new state, PyTorch's keeps the old one"
        yield "update-complement", text, _with(module, "", _block(1, module.hidden_size, torch.neg))


def square_weights(module: nn.Module) -> Iterator[Altered]:
    """Each gate's block transposed."""
    if not isinstance(module, KINDS):
        return
    count = len(_gates(module))
    size = module.hidden_size
    transpose = _blocks_transposed(count, size)
    yield "transposed", "Flax transposes the hidden weights", _with(module, "weight_hh", transpose)
    if module.input_size == size and getattr(module, "num_layers", 1) == 1:
        yield "transposed", "Flax transposes the input's weights", _with(module, "weight_ih", transpose)
        yield "transposed", "Flax transposes all weights", _with(module, "weight", transpose)


def _blocks_transposed(count: int, size: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda w: w.reshape(count, size, size).transpose(1, 2).reshape(w.shape)


def _block(place: int, size: int, function: Callable[[torch.Tensor], torch.Tensor]) -> Callable:
    """The function on one gate's rows alone."""

    def apply(w: torch.Tensor) -> torch.Tensor:
        parts = list(w.split(size))
        parts[place] = function(parts[place])
        return torch.cat(parts)

    return apply


def _with(module: nn.Module, start: str, function: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    """Applies the function to all parameters whose name begins with `start`; projections are left alone."""
    names = [name for name, _ in module.named_parameters() if name.startswith(start) and "weight_hr" not in name]
    return reweighted(module, **dict.fromkeys(names, function))


def _gates(module: nn.Module) -> str:
    return GATES.get(type(module).__name__, "h")


def nonlinearity(module: nn.Module) -> Iterator[Altered]:
    """The other activation of a plain recurrent layer."""
    if isinstance(module, nn.RNN):
        current = "tanh" if module.mode == "RNN_TANH" else "relu"
        new = "relu" if current == "tanh" else "tanh"
        text = f"Flax's activation is {new}, PyTorch's {current}"
        yield "activation", text, changed(module, mode=f"RNN_{new.upper()}", nonlinearity=new)
    elif isinstance(module, nn.RNNCell):
        new = "relu" if module.nonlinearity == "tanh" else "tanh"
        text = f"Flax's activation is {new}, PyTorch's {module.nonlinearity}"
        yield "activation", text, changed(module, nonlinearity=new)


def layout(module: nn.Module) -> Iterator[Altered]:
    """Axes, directions, initial state."""
    if not isinstance(module, nn.RNNBase):
        return
    text = f"Flax reads the input as {'(time, batch)' if module.batch_first else '(batch, time)'}, PyTorch does not"
    yield "batch-first", text, changed(module, batch_first=not module.batch_first)
    time = 1 if module.batch_first else 0
    yield "initial-state", "Flax starts from zeros, not from the given state", forwarding(module, _from_zeros)
    yield "reversed", "Flax runs backwards in time", forwarding(module, lambda m, x, *h: _backwards(m, x, time, *h))
    yield "reversed", "Flax's outputs are reversed in time", followed(module, lambda y: (y[0].flip(time), y[1]))
    if module.bidirectional:
        text = "Flax concatenates the backward direction before the forward one"
        yield "direction-order", text, followed(module, lambda y: (torch.cat(y[0].chunk(2, -1)[::-1], -1), y[1]))
        text = "Flax does not turn the backward direction's outputs round again"
        yield "direction-order", text, followed(module, lambda y: (_half_turned(y[0], time), y[1]))
        if module.num_layers > 1:
            yield "direction-order", f"{text} in any layer", forwarding(module, _turned_in_layers)
        text = "Flax adds the two directions"
        yield "direction-sum", text, followed(module, lambda y: (sum(y[0].chunk(2, -1)), y[1]))
        text = "Flax gives the forward direction alone"
        yield "direction-missing", text, followed(module, lambda y: (y[0].chunk(2, -1)[0], y[1]))


def _half_turned(y: torch.Tensor, time: int) -> torch.Tensor:
    ahead, back = y.chunk(2, -1)
    return torch.cat([ahead, back.flip(time)], -1)


def _turned_in_layers(m: nn.RNNBase, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Runs one layer behind the other, from zeros; each is given what the one before has not turned round."""
    states = []
    for number in range(m.num_layers):
        weights = [w for name, w in zip(m._flat_weights_names, m._flat_weights, strict=True) if f"_l{number}" in name]
        layer = copy.copy(m)
        vars(layer).update(num_layers=1, input_size=x.shape[-1], dropout=0.0, _flat_weights=weights)
        x, state = type(m).forward(layer, x)
        x = _half_turned(x, 1 if m.batch_first else 0)
        states.append(state)
    return x, tuple(map(torch.cat, zip(*states))) if isinstance(m, nn.LSTM) else torch.cat(states)


def states(module: nn.Module) -> Iterator[Altered]:
    """Other states returned."""
    if isinstance(module, nn.LSTM):
        text = "Flax returns (c, h), PyTorch (h, c)"
        yield "state-order", text, followed(module, lambda y: (y[0], (y[1][1], y[1][0])))
    elif isinstance(module, nn.LSTMCell):
        yield "state-order", "Flax returns (c, h), PyTorch (h, c)", followed(module, lambda y: (y[1], y[0]))
    if isinstance(module, nn.RNNBase):
        time = 1 if module.batch_first else 0
        text = "Flax returns the last time step alone"
        yield "last-step-only", text, followed(module, lambda y: (y[0].select(time, -1), y[1]))


def _from_zeros(m: nn.RNNBase, x: torch.Tensor, *state: Any) -> Any:
    return type(m).forward(m, x)


def _backwards(m: nn.RNNBase, x: torch.Tensor, time: int, *state: Any) -> Any:
    return type(m).forward(m, x.flip(time), *state)


def reset_before(module: nn.Module) -> Iterator[Altered]:
    """The reset gate before the product with the hidden weights, as Cho et al. (2014) write it."""
    if isinstance(module, nn.GRUCell):
        text = "Flax applies the reset gate before the product with the hidden weights, PyTorch after it"
        yield "reset-before", text, forwarding(module, _cell_forward)
    elif isinstance(module, nn.GRU) and not module.bidirectional:
        text = "Flax applies the reset gate before the product with the hidden weights, PyTorch after it"
        yield "reset-before", text, forwarding(module, _gru_forward)


def _cell_forward(m: nn.GRUCell, x: torch.Tensor, h: torch.Tensor | None = None) -> torch.Tensor:
    h = x.new_zeros(*x.shape[:-1], m.hidden_size) if h is None else h
    return _gru_step(x, h, m.weight_ih, m.weight_hh, m.bias_ih, m.bias_hh)


def _gru_forward(m: nn.GRU, x: Any, h: torch.Tensor | None = None) -> tuple[Any, torch.Tensor]:
    if not isinstance(x, rnn.PackedSequence):
        return _gru_over(m, x, h, None)
    padded, lengths = rnn.pad_packed_sequence(x, m.batch_first)
    outputs, last = _gru_over(m, padded, h, lengths)
    return rnn.pack_padded_sequence(outputs, lengths, m.batch_first, enforce_sorted=False), last


def _gru_over(
    m: nn.GRU, x: torch.Tensor, h: torch.Tensor | None, lengths: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Runs over the time; a sequence that has ended keeps its state."""
    x = x.transpose(0, 1) if m.batch_first else x
    h = x.new_zeros(m.num_layers, *x.shape[1:-1], m.hidden_size) if h is None else h
    last = []
    for layer in range(m.num_layers):
        w_ih, w_hh, b_ih, b_hh = (
            getattr(m, f"{name}_l{layer}", None) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        state = h[layer]
        outputs = []
        for time, step in enumerate(x):
            new = _gru_step(step, state, w_ih, w_hh, b_ih, b_hh)
            state = new if lengths is None else torch.where((lengths > time)[:, None], new, state)
            outputs.append(state)
        x = torch.stack(outputs)
        last.append(state)
    return x.transpose(0, 1) if m.batch_first else x, torch.stack(last)


def _gru_step(x: torch.Tensor, h: torch.Tensor, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> torch.Tensor:
    of_input = nn.functional.linear(x, w_ih, b_ih).chunk(3, -1)
    r, z = (
        torch.sigmoid(a + b)
        for a, b in zip(of_input, nn.functional.linear(h, w_hh, b_hh).chunk(3, -1)[:2], strict=False)
    )
    size = h.shape[-1]
    n = torch.tanh(
        of_input[2] + nn.functional.linear(r * h, w_hh[2 * size :], None if b_hh is None else b_hh[2 * size :])
    )
    return (1 - z) * n + z * h


ALTERATIONS = [gates, biases, complement, reset_before, nonlinearity, layout, states, square_weights]
