"""Gradients that one side stops and the other does not, where all values agree."""

import jax
import numpy as np
import pytest
import torch
from flax import nnx

import parity

TABLE = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


class Siamese(nnx.Module):
    """An encoder, and a predictor of what the encoder gives."""

    def __init__(self, stop="target"):
        rngs = nnx.Rngs(0)
        self.encoder = nnx.Sequential(nnx.Linear(6, 7, rngs=rngs), nnx.tanh, nnx.Linear(7, 4, rngs=rngs))
        self.predictor = nnx.Linear(4, 4, rngs=rngs)
        self.stop = stop

    def __call__(self, x):
        z = self.encoder(x)
        p = self.predictor(jax.lax.stop_gradient(z) if self.stop == "both" else z)
        return p, z if self.stop == "" else jax.lax.stop_gradient(z)


class TorchSiamese(torch.nn.Module):
    def __init__(self, detach=True):
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Linear(6, 7), torch.nn.Tanh(), torch.nn.Linear(7, 4))
        self.predictor = torch.nn.Linear(4, 4)
        self.detach = detach

    def forward(self, x):
        z = self.encoder(x)
        return self.predictor(z), z.detach() if self.detach else z


def difference(outputs, targets):
    return ((outputs[0] - outputs[1]) ** 2).mean() + (outputs[0] * targets[0]).mean()


def check(ours, theirs):
    return parity.check(ours, theirs, TABLE, loss=(difference, difference), steps=1, tiers=("float64",))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "detach", "cause", "layer"),
    [("", True, "stop-gradient-missing", ""), ("both", True, "stop-gradient", "encoder")],
)
def test_the_stop_is_named(stop, detach, cause, layer):
    result = check(Siamese(stop), TorchSiamese(detach))
    assert result.blame and (result.blame.layer, result.blame.cause) == (layer, cause), result.blame


def test_control_equal_stops_pass():
    assert check(Siamese(), TorchSiamese()).status == "pass"
    assert check(Siamese(""), TorchSiamese(False)).status == "pass"


class Gated(nnx.Module):
    def __init__(self, gate):
        self.first, self.gate = nnx.Linear(6, 4, rngs=nnx.Rngs(0)), gate

    def __call__(self, x):
        return self.gate(self.first(x))


class TorchGated(torch.nn.Module):
    def __init__(self, gate):
        super().__init__()
        self.first, self.gate = torch.nn.Linear(6, 4), gate

    def forward(self, x):
        return self.gate(self.first(x))


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (lambda h: h * jax.lax.stop_gradient(nnx.sigmoid(h)), lambda h: h * torch.sigmoid(h), "the second factor"),
        pytest.param(
            lambda h: jax.lax.stop_gradient(h) * nnx.sigmoid(h),
            lambda h: h * torch.sigmoid(h).detach(),
            "the other operand than PyTorch, which stops that of the second factor",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_factor_whose_gradient_is_stopped_is_named(ours, theirs, words):
    result = parity.check(Gated(ours), TorchGated(theirs), TABLE, steps=1, tiers=("float64",), layers=False)
    assert result.blame and result.blame.cause == "stop-gradient", result.blame
    assert words in result.blame.text


@pytest.mark.slow
def test_control_a_gradient_that_is_another_is_not_stopped():
    ours = Gated(lambda h: h * (0.5 * jax.lax.stop_gradient(nnx.sigmoid(h)) + 0.5 * nnx.sigmoid(h)))
    result = parity.check(ours, TorchGated(lambda h: h * torch.sigmoid(h)), TABLE, steps=1, tiers=("float64",))
    assert result.blame and not result.blame.cause.startswith("stop-gradient"), result.blame


class Words(nnx.Module):
    """Looks its table up without a layer of its own; the head is another one, so that no layer tells."""

    def __init__(self, padding):
        self.table, self.padding = nnx.Param(nnx.Rngs(0).params.normal((5, 6))), padding
        self.head = nnx.Linear(6, 3, rngs=nnx.Rngs(1))

    def __call__(self, ids):
        rows = self.table[...][ids]
        rows = jax.numpy.where((ids == 0)[..., None], jax.lax.stop_gradient(rows), rows) if self.padding else rows
        return self.head(rows)


class TorchWords(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = torch.nn.Embedding(5, 6, padding_idx=0), torch.nn.Linear(6, 3)

    def forward(self, ids):
        return self.head(self.table(ids))


@pytest.mark.parametrize("padding", [True, False])
def test_a_row_for_padding_that_learns_in_the_body_is_named(padding):
    result = parity.check(Words(padding), TorchWords(), np.arange(6).reshape(2, 3) % 5, steps=1, tiers=("float64",))
    told = (result.blame.cause, "row 0 of table" in result.blame.text) if result.blame else None
    assert told == (None if padding else ("padding-idx", True))
