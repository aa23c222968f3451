"""Records of outputs, whose fields stand in another order on either side: they belong together by name."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
SHORT = {"steps": 1, "tiers": ("float64",)}


@dataclass
class Record:
    logits: torch.Tensor
    hidden: torch.Tensor


class Named(NamedTuple):
    hidden: jnp.ndarray
    logits: jnp.ndarray


class Theirs(torch.nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.body, self.head = torch.nn.Linear(5, 4), torch.nn.Linear(4, outputs)

    def forward(self, x):
        hidden = self.body(x).tanh()
        return Record(logits=self.head(hidden), hidden=hidden)


class Ours(nnx.Module):
    def __init__(self, outputs, record: Any = dict):
        rngs = nnx.Rngs(0)
        self.body, self.head = nnx.Linear(5, 4, rngs=rngs), nnx.Linear(4, outputs, rngs=rngs)
        self.record = record

    def __call__(self, x):
        hidden = nnx.tanh(self.body(x))
        return self.record(logits=self.head(hidden), hidden=hidden)


@pytest.mark.parametrize(("outputs", "record"), [(3, dict), (4, Named)])
def test_the_default_loss_pairs_outputs_by_name(outputs, record):
    assert parity.check(Ours(outputs, record), Theirs(outputs), X, layers=False, **SHORT).status == "pass"


def test_control_fields_that_are_exchanged_are_not_the_same_outputs():
    swapped = lambda logits, hidden: {"logits": hidden, "hidden": logits}  # noqa: E731
    result = parity.check(Ours(4, swapped), Theirs(4), X, **SHORT)
    wrong = {row.key.tensor for row in result.rows["float64"] if not row.passed}
    assert result.status == "fail" and wrong >= {"output.logits", "output.hidden"}


def test_a_loss_of_a_record_is_explained_by_its_gradients():
    loss = (
        lambda outputs, targets: jnp.sum((outputs["logits"] - targets[1]) ** 2),
        lambda outputs, targets: torch.mean((outputs.logits - targets[1]) ** 2),
    )
    blame = parity.check(Ours(4), Theirs(4), X, loss=loss, **SHORT).blame
    assert blame and blame.direction == "loss" and "sum" in blame.text
