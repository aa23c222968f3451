"""Features of pictures, on which generated ones are compared with real ones, of a FeatureCNN."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from d2l_jax import losses, optim
from d2l_jax.cpu.compile import jit
from d2l_jax.data.images.sprites import Sprites
from d2l_jax.functional import eval_view, parts, train_view
from d2l_jax.models import FeatureCNN
from d2l_jax.train import TrainState, make_train_step
from d2l_jax.turns import supervised

EPOCHS = 3
BATCH = 64
MEASURED = 500


class Features(NamedTuple):
    """What is measured on.

    of:       images in [-1, 1] -> features, float32 (number, 128)
    real:     those of real pictures
    accuracy: share of the pictures whose class the network tells
    """

    of: Callable[[np.ndarray], np.ndarray]
    real: np.ndarray
    accuracy: float


def features_of(data: Sprites) -> Features:
    """Trains a FeatureCNN for three epochs on the classes of the pictures, always the same, as the second edition."""
    model = FeatureCNN(num_classes=len(data.classes), rngs=nnx.Rngs(0))
    turns = supervised(losses.cross_entropy, partial(optim.Adam, lr=1e-3))
    take = make_train_step(train_view(model), turns)
    state = TrainState.create(model, turns)
    random = np.random.default_rng(0)
    for _ in range(EPOCHS):
        order = random.permutation(len(data.X))
        for rows in order[: len(order) // BATCH * BATCH].reshape(-1, BATCH):
            state, _ = take(state, {"input": scaled(data.X[rows]), "targets": data.y[rows]})
    run, *_ = parts(eval_view(model))
    params, buffers = state.params, state.buffers

    def both(net: FeatureCNN, X: jax.Array) -> tuple[jax.Array, jax.Array]:
        features = net.features(X)
        return features, net.head(features)

    apply = jit(lambda X: run(both, params, buffers, X)[0])
    chosen = random.permutation(len(data.X))[:MEASURED]
    real, scores = apply(jnp.asarray(scaled(data.X[chosen])))
    accuracy = float((np.asarray(scores).argmax(-1) == data.y[chosen]).mean())
    return Features(lambda X: np.asarray(apply(jnp.asarray(X))[0]), np.asarray(real), accuracy)


def scaled(X: np.ndarray) -> np.ndarray:
    """Returns bytes as float32 in [-1, 1]."""
    return X.astype(np.float32) / 127.5 - 1
