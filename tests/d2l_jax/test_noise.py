"""Noise words that are drawn on the device: where they stand, how often each is drawn, and that an epoch takes them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from d2l_jax import TrainState, make_train_step
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.train.epoch import make_epoch
from d2l_jax.train.noise import fresh_noise

WEIGHTS = np.array([0, 0.5, 0.3, 0.2, 0])


def batch(rows: int) -> dict:
    words = jnp.tile(jnp.array([[1, 2, 3, 3, 3, 0]]), (rows, 1))
    labels = jnp.tile(jnp.array([[1, 0, 0, 0, 0, 0]], jnp.int8), (rows, 1))
    masks = jnp.tile(jnp.array([[1, 1, 1, 1, 1, 0]], jnp.int8), (rows, 1))
    return {"input": (jnp.zeros((rows, 1), jnp.int32), words), "targets": (labels, masks)}


@pytest.mark.slow
def test_noise_is_drawn_by_its_weights_and_is_no_context():
    before = batch(2000)
    prepare = jax.jit(fresh_noise(WEIGHTS, tries=30))
    (_, rows), (labels, masks) = (prepare(3, before)[name] for name in ("input", "targets"))
    noise = np.asarray(rows[:, 1:5])
    assert set(noise.ravel().tolist()) == {2, 3} and abs((noise == 2).mean() - 0.6) < 0.03
    assert (rows[:, 0] == 1).all() and (rows[:, 5] == 0).all()
    assert (labels == before["targets"][0]).all() and (masks == before["targets"][1]).all()
    again, other = (prepare(step, before)["input"][1] for step in (3, 4))
    assert (again == rows).all() and (other != rows).any()


@pytest.mark.slow
def test_what_stays_a_context_does_not_count():
    (_, rows), (_, masks) = (fresh_noise(WEIGHTS, tries=1)(0, batch(500))[name] for name in ("input", "targets"))
    assert ((rows[:, 1:5] == 1) == (masks[:, 1:5] == 0)).all() and 0.4 < masks[:, 1:5].mean() < 0.6
    assert (masks[:, 0] == 1).all() and (masks[:, 5] == 0).all()


@pytest.mark.slow
def test_an_epoch_takes_it():
    case = get("word2vec-ptb")
    model = case.build(probe=True)
    epoch = make_epoch(make_train_step(model, case.turns, case.metrics), fresh_noise(WEIGHTS))
    state = TrainState.create(model, case.turns)
    state, results = epoch(state, batch(6), jnp.arange(6).reshape(3, 2))
    assert int(state.step) == 3 and np.isfinite(np.asarray(results["loss"][0])).all()


@pytest.mark.parametrize("weights, tries", [(WEIGHTS, 0), (2 * WEIGHTS, 1), (np.array([-0.5, 1.5]), 1)])
def test_what_are_no_weights(weights: np.ndarray, tries: int):
    with pytest.raises(InputError, match="a sum of 1 is right"):
        fresh_noise(weights, tries=tries)
