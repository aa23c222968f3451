"""A state that is carried over windows, against PyTorch's twin with `detach`."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from sampled import sampled

import parity.reference as reference
from d2l_jax import losses, models, optim, supervised
from d2l_jax.data import sequential_windows
from d2l_jax.train import TrainState
from d2l_jax.train.truncated import make_truncated_epoch
from parity.reference.losses import cross_entropy
from parity.weights.state_dict import state_dict

STEPS = 4
VOCAB = 7
IDS = np.random.default_rng(0).integers(0, VOCAB, 80).astype(np.int32)
STARTS = sequential_windows(len(IDS), STEPS, 3, seed=0, epoch=0)


def ours(name: str, starts: np.ndarray = STARTS) -> tuple[nnx.Module, np.ndarray]:
    model = getattr(models, name)(VOCAB, 5, rngs=nnx.Rngs(0))
    turns = supervised(losses.cross_entropy, optim.SGD(lr=1.0))
    epoch = make_truncated_epoch(model, turns, STEPS)
    _, losses_of_windows = epoch(TrainState.create(model, turns), jnp.asarray(IDS), jnp.asarray(starts))
    return model, np.asarray(losses_of_windows)


def theirs(name: str, model: nnx.Module, cut) -> np.ndarray:
    twin = getattr(reference, name)(VOCAB, 5)
    twin.load_state_dict({key: torch.tensor(array) for key, array in state_dict(model).items()})
    optimizer = torch.optim.SGD(twin.parameters(), lr=1.0)
    hidden = None
    losses_of_windows = []
    for starts in STARTS:
        at = starts[:, None] + np.arange(STEPS)
        optimizer.zero_grad()
        outputs, hidden = twin.run(torch.tensor(IDS[at]), cut(hidden))
        loss = cross_entropy(outputs, torch.tensor(IDS[at + 1]).long())
        loss.backward()
        optimizer.step()
        losses_of_windows.append(loss.item())
    return np.array(losses_of_windows)


def detached(hidden):
    if hidden is None:
        return None
    return tuple(map(detached, hidden)) if isinstance(hidden, tuple) else hidden.detach()


@pytest.mark.parametrize("name", sampled(["lstm_lm", "gru_lm_scratch", "rnn_lm"], 3))
def test_the_losses_are_those_of_the_twin(name):
    model, values = ours(name)
    assert len(values) == len(STARTS) >= 5
    np.testing.assert_allclose(values, theirs(name, model, detached), rtol=1e-5)


def test_control_a_state_that_starts_anew_gives_other_losses():
    model, values = ours("rnn_lm")
    forgetful = theirs("rnn_lm", model, lambda hidden: None)
    assert abs(values[0] - forgetful[0]) < 1e-6 < np.min(np.abs(values[1:] - forgetful[1:]))
