"""Contrast with a queue of keys: Flax's encoder ends behind a norm of PyTorch's, its queue is updated too early."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.blame.buffer_order import updated_trials
from parity.twin.twin import State

X = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
QUEUE = np.random.default_rng(1).normal(size=(4, 7)).astype("float32")


class TorchContrast(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.ReLU(), torch.nn.Linear(6, 4))
        self.register_buffer("queue", torch.tensor(QUEUE))

    def forward(self, x):
        query = torch.nn.functional.normalize(self.encoder(x), dim=1)
        scores = query @ self.queue.clone()
        self.queue = torch.cat([self.queue[:, 3:], query.detach().T], 1)
        return scores


class Queue(nnx.Variable):
    pass


class Encoder(nnx.Module):
    def __init__(self, rngs, power):
        self.first, self.last = nnx.Linear(5, 6, rngs=rngs), nnx.Linear(6, 4, rngs=rngs)
        self.power = power

    def __call__(self, x):
        x = self.last(nnx.relu(self.first(x)))
        return x / jnp.sum(x**2, 1, keepdims=True) ** self.power


class Contrast(nnx.Module):
    def __init__(self, rngs, early, power=0.5):
        self.encoder, self.queue = Encoder(rngs, power), Queue(jnp.asarray(QUEUE))
        self.early = early

    def __call__(self, x):
        query = self.encoder(x)
        before = self.queue[...]
        self.queue[...] = jnp.concatenate([before[:, 3:], jax.lax.stop_gradient(query).T], 1)
        return query @ (self.queue[...] if self.early else before)


@pytest.mark.slow
@pytest.mark.parametrize(
    "early, power, place, cause",
    [(True, 0.5, "the model's own body", "buffer-order"), (False, 0.4, "encoder", ""), (False, 0.5, None, None)],
    ids=["early", "the encoder is wrong", "right"],
)
def test_a_queue_that_is_updated_before_it_is_used_is_told(early, power, place, cause):
    result = parity.check(Contrast(nnx.Rngs(0), early, power), TorchContrast(), X, steps=1, tiers=("float64",))
    assert (result.blame is None) == (place is None), result
    if result.blame:
        assert result.blame.text.startswith(place) and (result.blame.cause == "buffer-order") == early, result.blame


def test_only_buffers_that_move_are_tried_and_all_of_them_together():
    end = {"a.queue": np.ones(2), "mean": np.ones(3), "count": np.ones(1, int), "table": np.zeros(2)}
    start = State({name: np.zeros_like(array) for name, array in end.items()}, {})
    seen = []

    def computed(state, ends):
        seen.append({name for name, array in state.tensors.items() if array.any()})
        return [np.zeros(1)], State(end, {})

    trials = [(text, part) for _, text, _, part in updated_trials(start, computed)]
    assert seen == [set(), {"a.queue"}, {"mean"}, {"a.queue", "mean"}]
    assert trials[0] == ("Flax updates a.queue before it is used, PyTorch afterwards", "a") and len(trials) == 3
