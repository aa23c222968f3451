"""Torchvision's networks, random weights, against ports with other names: the whole check in both modes."""

import numpy as np
import pytest
from flax import nnx
from ports import PORTS, SLOW, torchvision

import parity
from d2l_jax import losses

# The last maps of the deepest are single pixels otherwise, and batch norm over a few numbers is ill-conditioned.
LARGER = {"densenet121": (65, 97)}


def check(name, steps=2, **changes):
    port, size, options, _ = PORTS[name]
    theirs = getattr(torchvision.models, name)(weights=None, num_classes=11, **options)
    ours = port(11, rngs=nnx.Rngs(0))
    for path, value in changes.items():
        setattr(ours.stages[2], path, value)
    x = np.random.default_rng(0).normal(size=(5, *LARGER.get(name, size), 3)).astype(np.float32)
    wide = name == "vgg11_bn"  # 102 million weights behind the flatten: the arrays of one step are gigabytes
    training = dict(outputs="scores", loss=losses.cross_entropy, steps=1 if wide else steps, layers=not wide)
    return parity.check(ours, theirs, x, **training)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in PORTS])
def test_a_port_is_the_same(name):
    result = check(name)
    bad = [row for rows in result.rows.values() for row in rows if not row.passed]
    assert result.status == "pass", (result.blame, bad[:5])
    assert len(SLOW) == 4 and not result.skipped
