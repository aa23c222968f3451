"""Noise words that are drawn anew in every step, on the device (book, section 15.3.4)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from d2l_jax.errors import InputError
from d2l_jax.train.epoch import Prepare
from d2l_jax.turns import Tensors

TRIES = 4


def fresh_noise(weights: Float[Any, " words"], seed: int = 0, tries: int = TRIES) -> Prepare:
    """Returns (number of the step, batch) -> the batch with other noise words, for `make_epoch` of skip-grams.

    A word that is among its row's contexts is drawn again; one that still is after `tries` draws does not count in that
    step: its mask becomes 0.

    weights: probabilities of the words, of `d2l_jax.data.text.contexts.noise_weights`

    Raises InputError where the weights are no probabilities, or there is no try.
    """
    weights = np.asarray(weights, float)
    if tries < 1 or not (weights >= 0).all() or abs(weights.sum() - 1) > 1e-6:
        raise InputError(f"{tries} tries with weights of sum {weights.sum():g}; 1 try or more, and a sum of 1 is right")
    last = int(np.flatnonzero(weights)[-1])
    bounds = jnp.asarray(np.cumsum(weights), jnp.float32)
    key = jax.random.key(seed)

    def prepare(step: Int[Array, ""] | int, batch: Tensors) -> Tensors:
        centers, rows = batch["input"]
        labels, masks = batch["targets"]
        shares = jax.random.uniform(jax.random.fold_in(key, step), (tries, *rows.shape), jnp.float32)
        drawn = jnp.searchsorted(bounds, shares, side="right").clip(max=last).astype(rows.dtype)
        contexts = jnp.where(labels == 1, rows, -1)
        clash = (drawn[..., None] == contexts[None, :, None]).any(-1)
        first = jnp.argmin(clash, axis=0)[None]  # of the tries, the first without a clash
        noise, wrong = (jnp.take_along_axis(each, first, 0)[0] for each in (drawn, clash))
        is_noise = (masks == 1) & (labels == 0)
        rows = jnp.where(is_noise, noise, rows)
        masks = jnp.where(is_noise & wrong, 0, masks)
        return batch | {"input": (centers, rows), "targets": (labels, masks)}

    return prepare
