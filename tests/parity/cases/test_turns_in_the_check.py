"""Cases that learn otherwise: their proof can fail, at the turn and the tensor where a bug is planted."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from failing import failing, failing_after_all

import parity.reference
from d2l_jax import algorithms, models, optim
from d2l_jax.catalog import get
from d2l_jax.turns import Turn
from parity.output import status_of
from parity.proof.cases import check_case
from parity.proof.proof import check_twin
from parity.twin.pairing import twin_of

CASES = ["valley", "frozen-features", "gan"]
CASES += ["box-conversions", "multibox-prior", "box-iou", "multibox-target", "multibox-detection"]


def failures(result) -> list[str]:
    return [str(row.key) for row in result.rows["float64"] if not row.passed]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CASES, "tiny-ssd", "fast-rcnn-head"])
def test_the_case_passes(name: str):
    result = check_case(get(name), steps=2)
    assert result.status == "pass", (result.error, failures(result)[:5])


@pytest.mark.slow
def test_the_rows_of_a_turn_carry_its_name():
    result = check_twin(twin_of(get("gan"), steps=2), tiers=("float64",), layers=False)
    rows = {str(row.key) for row in result.rows["float64"]}
    assert {
        "evaluation/fake_X",
        "discriminator forward/loss",
        "discriminator gradients/net_D.0.weight",
        "step 2 generator update/net_G.0.weight",
        "generator optimizer/exp_avg:net_G.0.bias",
        "generator forward/fake_X",
    } <= rows
    assert not any(name.startswith("generator update/net_D") for name in rows)


def discriminator_loss(nets, tensors):  # the twin's is found by this name
    real = nets["net_D"](tensors["X"])
    fake = nets["net_D"](nets["net_G"](tensors["Z"]))
    loss, _ = models.discriminator_loss(nets, tensors)
    return loss + 1e-6 * jnp.sum(real), {"real": real, "fake": fake}


@pytest.mark.slow
def test_a_bug_in_the_first_turn_is_placed_there():
    first, second = get("gan").turns
    planted = replace(get("gan"), turns=(first._replace(objective=discriminator_loss), second))
    assert failing(twin_of(planted, steps=1))[0].startswith("discriminator ")


def test_a_wrong_optimizer_of_the_second_turn_is_blamed():
    case = get("gan")
    first, second = case.turns
    twin = twin_of(case, steps=1)
    assert not failing_after_all(twin)
    wrong = second._replace(optimizer=partial(optim.Adam, lr=0.006))
    result = check_twin(replace(twin, flax=replace(twin.flax, turns=(first, wrong))), tiers=("float64",))
    assert result.blame and result.blame.layer == "optimizer" and "generator" in result.blame.text


@pytest.mark.slow
def test_a_frozen_part_that_moves_is_seen():
    thawed = twin_of(get("frozen-features"), steps=1).with_flax(trains="")
    assert any(name.startswith("buffers/features.0") for name in failing(thawed))


def test_a_wrong_overlap_is_seen(monkeypatch):
    right = algorithms.boxes.box_iou
    monkeypatch.setattr(algorithms.boxes, "box_iou", lambda a, b: right(a, b) + 1e-9)
    assert failing(twin_of(get("box-iou"), steps=1))[0] == "evaluation/iou"


@pytest.mark.slow
def test_a_turn_meets_what_the_one_before_it_returned(monkeypatch):
    """Control: the same factor on Flax's side alone is seen."""
    case = get("gan")
    discriminator, generator = case.turns

    def scaled(nets, tensors):
        loss, more = models.generator_loss(nets, tensors)
        return loss * tensors["discriminator_loss"], more

    def scaled_in_torch(nets, tensors):
        loss, more = parity.reference.generator_loss(nets, tensors)
        return loss * tensors["discriminator_loss"], more

    case = replace(case, turns=(discriminator, generator._replace(objective=scaled)))
    monkeypatch.setattr(parity.reference, "scaled", scaled_in_torch, raising=False)
    assert check_case(case, steps=2).status == "pass"
    monkeypatch.setattr(parity.reference, "scaled", parity.reference.generator_loss)
    assert failing(twin_of(case, steps=1))[0] == "generator forward/loss"


def valley(nets, tensors, *curvatures):
    return jnp.nan * nets()[0], {"x": nets()}


REFUSED = {
    "both train": (
        Turn(models.valley, partial(optim.SGD, lr=0.1), "", "one"),
        Turn(models.valley, optim.SGD, "x", "two"),
    ),
    "which no parameter starts with": (Turn(models.valley, partial(optim.SGD, lr=0.1), "head."),),
}


@pytest.mark.parametrize("words", REFUSED)
def test_turns_that_cannot_be_are_one_line_and_status_2(words: str):
    result = check_case(replace(get("valley"), turns=REFUSED[words]), steps=1)
    assert words in result.error and "\n" not in result.error and status_of([result]) == 2


def test_an_objective_that_is_not_a_number_is_one_line_and_status_2(monkeypatch):
    monkeypatch.setattr("parity.reference.toy.valley", valley)
    monkeypatch.setattr(
        "parity.reference.valley", lambda nets, tensors, *curvatures: (nets()[0] * float("nan"), {"x": nets()})
    )
    result = check_case(get("valley"), steps=1)
    assert "the objective is nan in PyTorch at step 1; a number is right" in result.error
    assert status_of([result]) == 2


@pytest.mark.slow
def test_a_leaky_slope_at_zero_is_seen_in_dcgan(monkeypatch):
    monkeypatch.setattr("d2l_jax.nn.leaky_relu", jax.nn.leaky_relu)
    result = check_case(get("dcgan"), steps=1, tiers=("float64",))
    assert {row.phase for row in result.rows["float64"] if not row.passed} == {"discriminator at zero"}
    assert result.blame is not None and result.blame.cause == "slope-at-zero"
