"""Packed sequences: a port that knows the lengths computes the same; one that forgets them is wrong in the layer."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import parity
from parity.models.calls import torch_calls
from parity.models.packed import Packed, packed_again, padded

STEPS = 5
INPUTS = np.random.default_rng(0).normal(size=(3, STEPS, 4)).astype(np.float32)
LENGTHS = np.array([2, 4, 1], np.int32)


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.LSTM(4, 6, batch_first=True, bidirectional=True)
        self.out = torch.nn.Linear(12, 2)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=x.shape[1])
        return self.out(outputs)


class Ours(nnx.Module):
    def __init__(self, lengths: bool):
        rngs = nnx.Rngs(0)
        self.lengths = lengths
        forward, backward = (nnx.RNN(nnx.OptimizedLSTMCell(4, 6, rngs=rngs)) for _ in range(2))
        self.rnn = nnx.Bidirectional(forward, backward)
        self.out = nnx.Linear(12, 2, rngs=rngs)

    def __call__(self, x, lengths):
        outputs = self.rnn(x, seq_lengths=lengths if self.lengths else None)
        valid = jnp.arange(x.shape[1])[None, :, None] < lengths[:, None, None]
        return self.out(jnp.where(valid, outputs, 0))


@pytest.fixture(scope="module", params=[True, False], ids=["lengths", "forgotten"])
def checked(request):
    result = parity.check(Ours(request.param), Theirs(), (INPUTS, LENGTHS), steps=1, tiers=("float64",))
    return request.param, result, [row.key for row in result.rows["float64"] if not row.passed]


@pytest.mark.slow
def test_the_recurrent_layer_is_compared_on_its_own(checked):
    _, result, _ = checked
    assert not result.skipped
    assert {row.key.layer for row in result.rows["float64"] if row.key.layer} == {"rnn", "out"}


def test_lengths_that_are_forgotten_are_wrong_in_the_recurrent_layer(checked):
    lengths, result, wrong = checked
    if lengths:  # Flax's cell has one bias for PyTorch's two, whose sum moves twice as far: a note says so
        assert result.status == "pass" and not wrong
        assert any("one bias where PyTorch adds two in rnn" in note for note in result.notes)
    else:
        assert result.blame.layer == "rnn"
        assert (result.blame.direction, result.blame.cause) == ("forward", "padding-counted")


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_packed_sequence_is_padded_with_what_it_was_packed_from(batch_first):
    values = torch.tensor(INPUTS) if batch_first else torch.tensor(INPUTS).transpose(0, 1).contiguous()

    class Packing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.GRU(4, 6, batch_first=batch_first)

        def forward(self, x):
            packed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first, enforce_sorted=False)
            return self.rnn(packed)[0].data

    model = Packing()
    with torch_calls(model) as calls:
        model(values.requires_grad_()).sum().backward()
    call = calls[1]
    (sequence,) = call.args
    assert torch.equal(sequence.values, values)
    assert sequence.lengths.tolist() == LENGTHS.tolist()
    assert call.output[0].values.shape == (*values.shape[:2], 6)
    cotangent = call.cotangents["output.0.values"]
    steps = cotangent.sum(-1) if batch_first else cotangent.sum(-1).T
    assert torch.equal(steps != 0, torch.arange(STEPS) < torch.tensor(LENGTHS)[:, None])


def test_padding_and_packing_undo_each_other():
    packed = pack_padded_sequence(torch.tensor(INPUTS), torch.tensor(LENGTHS), True, enforce_sorted=False)
    again = packed_again(padded((packed, None)))[0]
    assert torch.equal(again.data, packed.data)
    assert isinstance(padded(packed), Packed)
