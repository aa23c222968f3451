"""A failure under a weight map that is a guess says so, and how another is given; one under a sure map does not."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.match.search import outputs_gap

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
GUESSED = "none was found under which the two agree"


class Theirs(torch.nn.Module):
    def __init__(self, features: int):
        super().__init__()
        self.inp, self.a, self.b = torch.nn.Linear(4, 6), torch.nn.Linear(6, 6), torch.nn.Linear(6, features)
        self.out = torch.nn.Linear(6 + features, 3)

    def forward(self, x):
        h = torch.tanh(self.inp(x))
        return self.out(torch.cat([torch.tanh(self.a(h)), self.b(h)], -1))


class Ours(nnx.Module):
    def __init__(self, features: int, factor: float):
        rngs, self.factor = nnx.Rngs(0), factor
        self.stem, self.left = nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 6, rngs=rngs)
        self.right, self.head = nnx.Linear(6, features, rngs=rngs), nnx.Linear(6 + features, 3, rngs=rngs)

    def __call__(self, x):
        h = self.factor * jnp.tanh(self.stem(x))
        return self.head(jnp.concatenate([jnp.tanh(self.left(h)), self.right(h)], -1))


def checked(features: int, factor: float) -> parity.Result:
    return parity.check(Ours(features, factor), Theirs(features), X, steps=1, tiers=("float64",))


@pytest.mark.parametrize("features, guessed", [(6, True), (5, False)], ids=["of one shape", "control: of two"])
def test_a_failure_says_whether_its_map_is_a_guess(features: int, guessed: bool):
    result = checked(features, 3.0)
    assert result.status == "fail" and result.blame
    assert (GUESSED in result.blame.text) == guessed, result.blame
    notes = [note for note in result.notes if note.startswith("no weight map was found")]
    assert len(notes) == guessed
    if guessed:
        assert "a.weight, b.weight, a.bias and 1 more may be exchanged" in notes[0]
        assert "weights=" in notes[0]


def test_control_a_right_pair_has_no_such_word():
    result = checked(6, 1.0)
    assert result.status == "pass", result.blame
    assert not any(note.startswith("no weight map") for note in result.notes)


def test_a_loss_that_is_merely_near_does_not_agree():
    near, digits = np.array(1.001), np.array(1.0 + 1e-7)
    assert outputs_gap(near, torch.tensor(1.0)) == np.inf
    assert outputs_gap(digits, torch.tensor(1.0)) < 1e-6
    assert outputs_gap(np.full(9, 1.001), torch.ones(9)) < 0.01  # another epsilon: it is this map
