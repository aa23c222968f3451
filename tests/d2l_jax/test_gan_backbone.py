"""The backbone of adversarial networks and its conditional pair against the facts of the specification."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from gan_golden import filled, golden, pattern

import parity
from d2l_jax import models
from d2l_jax.models import gan_backbone
from parity import reference
from parity.reference import gan_backbone as torch_backbone
from parity.twin.structure import with_shapes

Y = np.array([1, 7], np.int32)


def both(name: str, *args: int, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    """Returns what a net with filled weights gives in JAX, channels first, where PyTorch's twin gives the same."""
    theirs = filled(getattr(reference, name)(*args), 0.2)
    ours = parity.load_state_dict(
        with_shapes(lambda: getattr(models, name)(*args, rngs=nnx.Rngs(0))), theirs.state_dict(), "f8"
    )
    arrays = [jnp.asarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x) for x in inputs]
    made = np.asarray(nnx.jit(lambda net, *arrays: net(*arrays))(ours, *arrays))
    made = made.transpose(0, 3, 1, 2) if made.ndim == 4 else made
    with torch.no_grad():
        assert np.allclose(made, theirs(*map(torch.tensor, inputs)).numpy(), atol=1e-12)
    return made


def facts_of(images: np.ndarray, *pixels: tuple) -> list:
    return [*(images[n, :, i, j] for n, i, j in pixels), images.mean(), images.std(ddof=1)]


def close(values: list, facts: list) -> bool:
    return all(np.allclose(*pair, atol=2e-6) for pair in zip(values, facts, strict=True))


def test_images_of_the_backbone_are_the_facts():
    images = both("Generator", 4, 3, 32, inputs=(pattern(2, 4),))
    assert close(facts_of(images, (0, 0, 0), (1, 31, 20), (0, 63, 63)), golden("generator"))


def test_scores_of_the_backbone_are_the_facts():
    scores = both("Discriminator", 2, inputs=(pattern(2, 3, 64, 64, s=0.9),))
    assert np.allclose(scores.ravel(), golden("discriminator"), atol=1e-6)


def test_images_of_classes_are_the_facts():
    images = both("ConditionalGenerator", 4, 3, 2, 16, inputs=(pattern(2, 4), Y))
    assert close(facts_of(images, (0, 0, 0), (1, 15, 9)), golden("conditional"))


def test_scores_of_classes_are_the_facts():
    scores = both("ProjectionDiscriminator", 2, inputs=(pattern(2, 3, 32, 32, s=0.9), Y))
    assert np.allclose(scores, golden("projection"), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(8, 16), (7, 9), (2, 3)])
def test_scaled_images_are_pytorchs_of_odd_sides_too(size):
    X = np.random.default_rng(0).normal(size=(2, *size, 3))
    tensor = torch.tensor(X).permute(0, 3, 1, 2)
    for name in ("halved", "doubled"):
        ours = getattr(gan_backbone, name)(jnp.asarray(X))
        theirs = getattr(torch_backbone, name)(tensor).permute(0, 2, 3, 1).numpy()
        assert np.allclose(ours, theirs, rtol=0, atol=1e-14)


def test_control_jaxs_own_resize_is_not_pytorchs_of_odd_sides_and_smooths_unless_told():
    X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, 9, 3)))
    smoothed = gan_backbone.halved(X)
    assert np.abs(smoothed - jax.image.resize(X, (2, 3, 4, 3), "linear")).max() > 0.05
    even = X[:, :6, :8]
    assert np.allclose(gan_backbone.halved(even), jax.image.resize(even, (2, 3, 4, 3), "linear"), atol=1e-14)
    rough = jax.image.resize(even, (2, 3, 4, 3), "linear", antialias=False)
    assert np.abs(gan_backbone.halved(even) - rough).max() > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Generator", "Discriminator", "ConditionalGenerator", "ProjectionDiscriminator"])
def test_weights_start_small_and_biases_at_zero(name):
    for net, weights in (
        (getattr(models, name)(rngs=nnx.Rngs(3)), lambda model: dict(parity.state_dict(model))),
        (getattr(reference, name)(), lambda model: model.state_dict()),
    ):
        for key, value in weights(net).items():
            array = np.asarray(value)
            spread = 1.0 if key == "embed.weight" else 0.0 if key.endswith("bias") else 0.02
            assert array.std() == pytest.approx(spread, rel=0.15), key
