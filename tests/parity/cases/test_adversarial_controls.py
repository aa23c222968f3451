"""The proof of adversarial losses and penalties can fail, where a bug is planted."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import pytest
from failing import failing
from sampled import sampled

from d2l_jax import losses, models
from d2l_jax.catalog import get
from d2l_jax.models import adversarial, gan_backbone
from parity.twin.pairing import twin_of


def failures(name: str) -> list[str]:
    return failing(twin_of(get(name), steps=1))


@pytest.fixture
def slopes_as_constants(monkeypatch):
    """The usual mistake: the slopes are right, but nothing is learned from them."""
    right = adversarial.scores_and_slopes

    def constant(net_D, X, *labels):
        scores, slopes = right(net_D, X, *labels)
        return scores, jax.lax.stop_gradient(slopes)

    monkeypatch.setattr(adversarial, "scores_and_slopes", constant)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gan-wasserstein", "gan-relativistic"])
def test_slopes_that_are_not_derived_again_are_seen_in_the_gradients_alone(slopes_as_constants, name):
    failed = failures(name)
    assert "discriminator gradients/net_D.2.weight" in failed
    assert not [row for row in failed if row.startswith("discriminator forward")]


@pytest.mark.slow
def test_examples_in_other_pairs_are_seen():
    case = get("gan-relativistic")

    def rpgan_loss_D(real, fake):
        return losses.rpgan_loss_D(real, fake[::-1])

    first, second = case.turns
    wrong = first._replace(objective=adversarial.Discriminate(rpgan_loss_D, r1=1.0, r2=1.0))
    failed = failing(twin_of(replace(case, turns=(wrong, second)), steps=1))
    assert failed[0] == "discriminator forward/loss" and not [row for row in failed if row.endswith("/real")]


@pytest.mark.slow
@pytest.mark.parametrize("turn", ["discriminator", "generator"])
def test_a_turn_that_judges_apart_what_it_should_together_is_seen(turn):
    case = get("dcgan-together")
    objectives: dict[str, Any] = {each.name: each.objective for each in case.turns}
    objectives[turn] = partial(objectives[turn], together=False)
    twin = twin_of(case, steps=1)
    turns = tuple(each._replace(objective=objectives[each.name]) for each in case.turns)
    failed = failing(replace(twin, flax=replace(twin.flax, turns=turns)))
    assert f"{turn} forward/fake" in failed and f"{turn} forward/loss" in failed


def hinge_loss_D(real, fake):
    """Without a margin, which lets a score of 0 pass for right."""
    return jax.nn.relu(-real).mean() + jax.nn.relu(fake).mean()


def least_squares_loss_D(real, fake):
    """Not halved, as of a library that leaves it out."""
    return ((real - 1) ** 2).mean() + (fake**2).mean()


def least_squares_loss_G(real, fake):
    """Drawn to 0, which is what the discriminator wants."""
    return (fake**2).mean() / 2


@pytest.mark.parametrize(
    "name, wrong, turn",
    sampled(
        [
            ("gan-least-squares", least_squares_loss_G, "generator"),
            ("gan-least-squares", least_squares_loss_D, "discriminator"),
            ("gan-hinge", hinge_loss_D, "discriminator"),
        ],
        3,
    ),
)
def test_another_adversarial_loss_is_seen_first_in_its_turn(name, wrong, turn):
    case = get(name)
    objective = {"discriminator": adversarial.Discriminate, "generator": adversarial.Generate}[turn](wrong)
    turns = tuple(each._replace(objective=objective) if each.name == turn else each for each in case.turns)
    assert failing(twin_of(replace(case, turns=turns), steps=1))[0] == f"{turn} forward/loss"


@pytest.mark.slow
def test_a_slope_through_the_power_method_is_seen(monkeypatch):
    monkeypatch.setattr("d2l_jax.nn.spectral.lax.stop_gradient", lambda x: x)
    failed = failures("spectral-discriminator")
    assert failed[0].startswith("gradients/") and "forward/loss" not in failed


@pytest.mark.slow
def test_a_weight_as_a_matrix_in_flaxs_order_is_seen(monkeypatch):
    wrong = lambda kernel: kernel.reshape(-1, kernel.shape[-1]).T  # noqa: E731
    monkeypatch.setattr("d2l_jax.nn.spectral._as_matrix", wrong)
    assert failures("spectral-discriminator")


@pytest.mark.slow
def test_halving_without_smoothing_is_seen_in_the_first_score(monkeypatch):
    def rough(X):
        batch, height, width, channels = X.shape
        return jax.image.resize(X, (batch, height // 2, width // 2, channels), "linear", antialias=False)

    monkeypatch.setattr(gan_backbone, "halved", rough)
    failed = failures("gan-backbone")
    assert {"evaluation/real", "discriminator forward/real"} <= set(failed)
    assert "evaluation/fake_X" not in failed  # the generator halves nothing


@pytest.mark.slow
@pytest.mark.parametrize(
    "net, seen, unseen", [("ConditionalGenerator", "fake_X", "real"), ("ProjectionDiscriminator", "real", "fake_X")]
)
def test_exchanged_labels_are_seen_in_the_net_that_embeds_them(net, seen, unseen, monkeypatch):
    """The labels of two examples change places in one of the two nets."""
    right = getattr(models, net).__call__
    monkeypatch.setattr(getattr(models, net), "__call__", lambda self, x, y: right(self, x, y[::-1]))
    failed = failures("gan-conditional")
    assert f"evaluation/{seen}" in failed and f"evaluation/{unseen}" not in failed
