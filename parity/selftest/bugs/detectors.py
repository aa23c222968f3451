"""Bugs in a detector: its maps, its anchors and its offsets."""

import jax.numpy as jnp
from jaxtyping import Array

from d2l_jax.algorithms import multibox_prior
from d2l_jax.models import TinySSD
from d2l_jax.models.ssd import Predictions
from parity.selftest.bug import Bug, become
from parity.selftest.pairs.detectors import DETECTOR


class ChannelsFirst(TinySSD):
    """Flattens the maps as (channels, height, width): scores and offsets of other anchors than PyTorch's."""

    def __call__(self, X: Array) -> Predictions:
        anchors = []
        flat: dict[str, list[Array]] = {"cls": [], "bbox": []}
        for stage, sizes in enumerate(self.sizes):
            X = getattr(self, f"blk_{stage}")(X)
            anchors.append(multibox_prior(X, sizes, self.ratios))
            for kind, parts in flat.items():
                maps = getattr(self, f"{kind}_{stage}")(X)
                parts.append(jnp.moveaxis(maps, -1, 1).reshape(len(X), -1))
        classes = jnp.concatenate(flat["cls"], 1).reshape(len(X), -1, self.num_classes + 1)
        return jnp.concatenate(anchors, 1), classes, jnp.concatenate(flat["bbox"], 1)


BUGS = (
    Bug("a detector's maps flattened in (C, H, W) order", DETECTOR, "", ("flatten-order",), become("", ChannelsFirst)),
)
