"""Weight maps of recurrences that users write by hand from dense layers, against PyTorch's recurrent layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from matching import R, keys_by_path, verified

import parity
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(3, 5, 4))


class LSTM(nnx.Module):
    """A scan; the product with the inputs stands before it."""

    def __init__(self, rngs=R, order="ifgo"):
        self.wx = nnx.Linear(4, 28, rngs=rngs)
        self.wh = nnx.Linear(7, 28, rngs=rngs)
        self.order = order

    def __call__(self, x, state=None, reverse=False):
        zero = jnp.zeros((len(x), 7))
        state = (zero, zero) if state is None else state
        inputs = self.wx(x)[:, ::-1] if reverse else self.wx(x)

        def step(carry, x):
            gates = dict(zip(self.order, jnp.split(x + self.wh(carry[0]), 4, -1), strict=True))
            c = jax.nn.sigmoid(gates["f"]) * carry[1] + jax.nn.sigmoid(gates["i"]) * jnp.tanh(gates["g"])
            h = jax.nn.sigmoid(gates["o"]) * jnp.tanh(c)
            return (h, c), h

        state, outputs = jax.lax.scan(step, state, inputs.swapaxes(0, 1))
        outputs = outputs.swapaxes(0, 1)
        return outputs[:, ::-1] if reverse else outputs, state


class GRU(nnx.Module):
    """A Python loop; gates by two dense layers."""

    def __init__(self, rngs=R, after=True):
        self.i = nnx.Linear(4, 21, rngs=rngs)
        self.h = nnx.Linear(7, 21, rngs=rngs)
        self.after = after

    def __call__(self, x):
        h = jnp.zeros((len(x), 7))
        outputs = []
        for t in range(x.shape[1]):
            r, z, n = jnp.split(self.i(x[:, t]), 3, -1)
            r_h, z_h, n_h = jnp.split(self.h(h), 3, -1)
            r = jax.nn.sigmoid(r + r_h)
            z = jax.nn.sigmoid(z + z_h)
            n_h = r * n_h if self.after else jnp.split(self.h(r * h), 3, -1)[2]
            h = (1 - z) * jnp.tanh(n + n_h) + z * h
            outputs.append(h)
        return jnp.stack(outputs, 1), h


class BothWays(nnx.Module):
    def __init__(self):
        self.ahead = LSTM()
        self.back = LSTM()

    def __call__(self, x):
        return jnp.concatenate([self.ahead(x)[0], self.back(x, reverse=True)[0]], -1)


class First(torch.nn.Module):
    """Gives the outputs of a recurrent layer, without its states."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)[0]


class Outputs(nnx.Module):
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, x):
        return self.inner(x)[0]


PAIRS = [
    (lambda: Outputs(LSTM()), lambda: First(torch.nn.LSTM(4, 7, batch_first=True))),
    (lambda: Outputs(GRU()), lambda: First(torch.nn.GRU(4, 7, batch_first=True))),
    (BothWays, lambda: First(torch.nn.LSTM(4, 7, batch_first=True, bidirectional=True))),
]


@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_a_recurrence_by_hand_is_the_layer_that_holds_the_same_tensors(ours, theirs):
    leaves = verified(NNXModel(ours()), theirs(), X, torch.tensor(X))
    assert {leaf.path[-1] for leaf in leaves} == {"kernel", "bias"}


def test_the_directions_are_told_apart():
    theirs = First(torch.nn.LSTM(4, 7, batch_first=True, bidirectional=True))
    key_of = keys_by_path(verified(NNXModel(BothWays()), theirs, X, torch.tensor(X)))
    assert key_of["back", "wh", "kernel"] == "inner.weight_hh_l0_reverse"


@pytest.mark.slow
@pytest.mark.parametrize(
    "ours, theirs, cause",
    [
        (LSTM(order="igfo"), torch.nn.LSTM(4, 7, batch_first=True), "gate-order"),
        (GRU(after=False), torch.nn.GRU(4, 7, batch_first=True), "reset-before"),
    ],
)
def test_a_mistake_in_it_is_put_there_with_its_cause(ours, theirs, cause):
    x = X.astype(np.float32)
    result = parity.check(Outputs(ours), First(theirs), x, steps=1, tiers=("float64",))
    assert result.blame is not None
    assert (result.blame.layer, result.blame.cause) == ("inner", cause)


class TorchPacked(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = torch.nn.GRU(4, 7, batch_first=True)

    def forward(self, x, lengths):
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.gru(packed)[1][-1]


class LastOf(nnx.Module):
    def __init__(self, valid):
        self.gru = GRU()
        self.valid = valid

    def __call__(self, x, lengths):
        outputs, last = self.gru(x)
        return outputs[jnp.arange(len(x)), lengths - 1] if self.valid else last


@pytest.mark.slow
@pytest.mark.parametrize("valid, status", [(True, "pass"), (False, "fail")])
def test_the_state_behind_the_padding_of_packed_sequences_is_no_result_of_the_layer(valid, status):
    inputs = X.astype(np.float32), np.array([5, 3, 4])
    result = parity.check(LastOf(valid), TorchPacked(), inputs, steps=1, tiers=("float64",))
    assert result.status == status
