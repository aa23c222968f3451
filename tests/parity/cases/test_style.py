"""Style transfer against PyTorch: its losses, torchvision's ReLUs that write in place, and controls (section 14.12)."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from twins import in_jax, in_torch, normal, twins

from d2l_jax import models
from d2l_jax.catalog import get
from d2l_jax.models.style import extract_features
from parity import reference
from parity.proof.cases import check_case

LAYERS = (0, 5, 25, 28)
SMALL = {"num_layers": 29, "width_mult": 0.0625}


def failures(result) -> list[str]:
    return [str(row.key) for row in result.rows["float64"] if not row.passed]


def maps(array: np.ndarray) -> np.ndarray:
    return array.transpose(0, 3, 1, 2)


def test_the_specifications_numbers():
    X = jnp.asarray((np.arange(24) / 24).reshape(1, 2, 3, 4).transpose(0, 2, 3, 1))
    np.testing.assert_allclose(models.gram(X), [[0.036603, 0.093895], [0.093895, 0.276186]], atol=1e-6)
    assert models.tv_loss(X) == pytest.approx(0.104167, abs=1e-6)


def test_losses_of_a_batch_are_pytorchs():
    X = normal(2, 5, 7, 3)
    Y = normal(2, 5, 7, 3, seed=1)
    ours, other = in_jax(X, Y)
    theirs, other_torch = in_torch(maps(X), maps(Y))
    grams = models.gram(other), reference.gram(other_torch)
    np.testing.assert_allclose(grams[0], grams[1], rtol=1e-12)
    pairs = [
        (models.content_loss(ours, other), reference.content_loss(theirs, other_torch)),
        (models.style_loss(ours, grams[0]), reference.style_loss(theirs, grams[1])),
        (models.tv_loss(ours), reference.tv_loss(theirs)),
    ]
    for flax, pytorch in pairs:
        assert float(flax) == pytest.approx(float(pytorch), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("in_place", [True, False])
def test_what_is_collected_is_torchvisions(in_place):
    ours, theirs = twins("vgg19_features", **SMALL)
    X = normal(1, 37, 46, 3)
    collected = extract_features(ours, *in_jax(X), LAYERS, in_place)
    with torch.no_grad():
        expected = reference.extract_features(theirs, *in_torch(maps(X)), LAYERS, in_place)
    for number, flax, pytorch in zip(LAYERS, collected, expected, strict=True):
        np.testing.assert_allclose(maps(np.asarray(flax)), pytorch.numpy(), atol=1e-12)
        assert (np.asarray(flax).min() < 0) == (not in_place or number == 28), number


@pytest.mark.slow
@pytest.mark.parametrize("name", ["style-transfer", "style-transfer-vgg16"])
def test_the_cases_pass(name):
    result = check_case(get(name), steps=1)
    assert result.status == "pass", (result.error, failures(result)[:5])
    rows = {str(row.key) for row in result.rows["float64"]}
    assert {"gradients/image.weight", "forward/tv_loss", "evaluation/grams.4"} <= rows
    assert not any(name.startswith("update/net") for name in rows)


class StyleTransfer(models.StyleTransfer):  # the twin's is found by this name
    def __call__(self, nets, tensors):
        targets = models.StyleTargets(self.content_layers, self.style_layers)(nets, tensors)
        return models.StyleTransfer(in_place=False)(nets, tensors | targets)


@pytest.mark.slow
def test_control_maps_before_the_relus_are_seen():
    case = get("style-transfer")
    wrong = replace(case, turns=(case.turn._replace(objective=StyleTransfer()),))
    assert failures(check_case(wrong, steps=1, tiers=("float64",)))[0].startswith("forward/")
