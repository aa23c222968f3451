"""Chapter 20: adversarial networks against the facts of the specification."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from gan_golden import FACTS, filled, golden, pattern
from twins import in_jax, in_torch

import parity
from d2l_jax import TrainState, losses, models, train_view
from d2l_jax.catalog import get
from d2l_jax.functional import parts
from d2l_jax.models.gan import judged_together
from d2l_jax.train import step
from d2l_jax.weights.rules import leaves
from parity import reference
from parity.reference import losses as torch_losses
from parity.twin.structure import with_shapes

NETS = {
    "GAN generator": "generator",
    "GAN discriminator": "discriminator",
    "DCGAN generator": "dcgan_generator",
    "DCGAN discriminator": "dcgan_discriminator",
    "FeatureCNN": "FeatureCNN",
    "Generator (minimal backbone, 64x64)": "Generator",
    "Discriminator (minimal backbone, 64x64)": "Discriminator",
    "Generator (conditional, 32x32)": "ConditionalGenerator",
    "Discriminator (projection, 32x32)": "ProjectionDiscriminator",
}


@pytest.mark.parametrize("title", NETS)
def test_keys_and_shapes(title):
    """The keys are the book's, in its order; so are the shapes."""
    expected = FACTS[title]["state_dict"]
    theirs = getattr(reference, NETS[title])()
    assert {key: list(tensor.shape) for key, tensor in theirs.state_dict().items()} == expected
    assert list(theirs.state_dict()) == list(expected)
    ours = with_shapes(lambda: getattr(models, NETS[title])(rngs=nnx.Rngs(0)))
    assert {leaf.key: list(leaf.shape) for leaf in leaves(ours)} == expected
    assert sum(parameter.numel() for parameter in theirs.parameters()) == FACTS[title]["params"]


@pytest.mark.slow
def test_a_batch_of_its_own_hides_from_the_discriminator_how_grey_images_are():
    """With batch normalisation in every block the size of images is no part of the score; in one batch it is."""
    net_D = train_view(models.dcgan_discriminator(4, corrected=True, rngs=nnx.Rngs(0)))
    X, other = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 64, 64, 3)) * 10, jnp.float32)
    np.testing.assert_allclose(net_D(X), net_D(X / 10), atol=1e-3 * float(jnp.abs(net_D(X)).max()))
    _, grey = judged_together(net_D, X, other / 10)
    _, full = judged_together(net_D, X, other)
    assert float(jnp.abs(grey - full).max()) > 0.1 * float(jnp.abs(full).max())


def test_losses_are_the_facts():
    real, fake = pattern(5), pattern(5, o=2)
    of_D, of_G, _ = golden("losses")
    for values, names in (
        (of_D, ("logistic_loss_D", "least_squares_loss_D", "hinge_loss_D")),
        (of_G, ("logistic_loss_G", "least_squares_loss_G", "wasserstein_loss_G")),
    ):
        for value, name in zip(values, names, strict=True):
            ours = getattr(losses, name)(*in_jax(real, fake))
            theirs = getattr(torch_losses, name)(*in_torch(real, fake))
            assert float(ours) == pytest.approx(value, abs=1e-6) and float(theirs) == pytest.approx(float(ours))


def test_scores_slopes_and_paired_losses_are_the_facts():
    scores, loss_D, loss_G, *penalties = golden("critic")
    theirs = filled(reference.discriminator(), 0.9)
    ours = parity.load_state_dict(
        with_shapes(lambda: models.discriminator(rngs=nnx.Rngs(0))), theirs.state_dict(), "f8"
    )
    X, fake_X = pattern(4, 2), pattern(4, 2, o=1)
    real, at_real = models.scores_and_slopes(ours, jnp.asarray(X))
    fake, at_fake = models.scores_and_slopes(ours, jnp.asarray(fake_X))
    assert np.allclose(real.ravel(), scores, atol=1e-6)
    assert [float(losses.rpgan_loss_D(real, fake)), float(losses.rpgan_loss_G(real, fake))] == pytest.approx(
        [loss_D, loss_G], abs=1e-6
    )
    assert np.allclose([models.squared_lengths(slopes) for slopes in (at_real, at_fake)], penalties, atol=1e-6)


def test_rounds_of_the_first_gan_are_the_facts():
    """The losses of three rounds, summed over the batch."""
    nets = torch.nn.ModuleDict({"net_D": reference.discriminator(), "net_G": filled(reference.generator())})
    filled(nets["net_D"], 0.9)
    case = get("gan")
    model = parity.load_state_dict(with_shapes(case.build), nets.state_dict(), jnp.float64)
    run, params, buffers = parts(train_view(model))
    state = TrainState.start(params, buffers, case.turns)
    take = jax.jit(partial(step, run, case.turns))
    batch = {"X": jnp.asarray(pattern(4, 2)), "Z": jnp.asarray(pattern(4, 2, o=1))}
    rounds = []
    for _ in range(3):
        state, tensors = take(state, batch)
        rounds.append([float(tensors["discriminator_loss"]), float(tensors["generator_loss"])])
    assert np.allclose(rounds, golden("rounds"), atol=1e-5)
