"""What an evaluation measures is compared: its loss, and what metrics are made of; the controls train rightly."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from d2l_jax import losses
from d2l_jax.catalog import CASES, get
from d2l_jax.metrics import LABELS, OF_ROWS, Metric, correct
from d2l_jax.turns import Measured, Observed
from parity.arrays.key import Key
from parity.compare.semantics import compare_semantics
from parity.proof.proof import check_twin
from parity.proof.steps import without_measures
from parity.result import Result
from parity.twin.pairing import twin_of
from parity.twin.torch_side import torch_observe


def checked(name: str, evaluation=None) -> Result:
    twin = twin_of(get(name), steps=1)
    planted = replace(twin, flax=replace(twin.flax, observe=evaluation or twin.flax.observe))
    return check_twin(planted, layers=False, tiers=("float64",), probes=2)


def wrong(result: Result) -> set[str]:
    return {str(row.key) for row in result.rows["float64"] if not row.passed}


def measures(result: Result) -> set[str]:
    return {row.key.tensor for row in result.rows["float64"] if row.key.is_made_of_outputs}


def test_every_loss_and_metric_of_an_evaluation_has_a_twin():
    for case in CASES:
        theirs = torch_observe(case, checked=True)
        measured = {name for name, metric in case.metrics.items() if metric.measure}
        assert not measured or set(theirs.measures) == measured


@pytest.mark.slow
def test_right_ones_pass():
    result = checked("mlp")
    assert result.status == "pass"
    assert measures(result) == {"loss", "sum of accuracy", "count of accuracy"}


def twice_the_examples(tensors):
    counted = correct(tensors)
    assert counted
    return counted[0], 2 * counted[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("evaluation", "found"),
    [
        (Measured(Observed(losses.sum_cross_entropy), LABELS), {"loss"}),
        (
            Measured(Observed(losses.cross_entropy), {"accuracy": Metric(twice_the_examples)}),
            {"count of accuracy"},
        ),
    ],
)
def test_control_a_wrong_mean_fails(evaluation, found: set[str]):
    result = checked("mlp", evaluation)
    assert wrong(result) == {f"evaluation/{name}" for name in found}
    assert result.blame and result.blame.layer == "evaluation" and f"evaluation/{min(found)}" in result.blame.text


def unmasked(outputs, targets):
    labels, masks = targets
    return losses.negative_sampling_loss(outputs, (labels, jnp.ones_like(masks)))


@pytest.mark.slow
def test_control_a_forgotten_mask_fails():
    result = checked("word2vec-ptb", Measured(Observed(unmasked), OF_ROWS))
    assert wrong(result) == {"evaluation/loss", "evaluation/sum of loss"}


def in_training(nets, tensors):
    nets.train()
    return Measured(Observed(losses.cross_entropy), LABELS)(nets, tensors)


@pytest.mark.slow
def test_control_a_forgotten_evaluation_mode_fails():
    found = wrong(checked("dropout-mlp", in_training))
    assert {"evaluation/output", "evaluation/loss"} <= found
    assert not any(name.startswith("forward") for name in found)


def test_a_count_that_a_last_digit_decides_is_undetermined():
    key, other = (Key(1, "evaluation", name) for name in ("sum of auc", "loss"))
    oracle, flax = ({name: np.array(value) for name in (key, other)} for value in (3.0, 4.0))
    noise = dict.fromkeys((key, other), 0.1)
    rows = compare_semantics(oracle, flax, noise, 1)
    assert {row.key: row.passed for row in rows} == {key: True, other: False}
    assert not any(row.passed for row in compare_semantics(oracle, flax, dict.fromkeys(noise, 1e-16), 1))


def test_what_near_scores_may_flip_is_left_to_float64():
    zero = np.zeros(())
    kept = {Key(1, "evaluation", "loss"): zero, Key(1, "forward", "sum of accuracy"): zero}
    left_out = {Key(1, "evaluation", f"{part} of accuracy"): zero for part in ("sum", "count")}
    assert without_measures(kept | left_out) == kept
