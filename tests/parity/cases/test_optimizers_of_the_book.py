"""Negative controls of the book's optimisers and schedules in the check: a planted one is seen at the update."""

from functools import partial

import pytest
import torch

from d2l_jax import optim
from d2l_jax.catalog import get
from d2l_jax.optim import ByEpoch, SquareRootScheduler
from parity.proof.cases import check_case
from parity.reference import optimizers


def failures(result):
    assert not result.error
    return [str(row.key) for row in result.rows["float64"] if not row.passed]


class Outside(optimizers.RMSPropScratch):
    """RMSProp with eps outside the root."""

    def move(self, p, g, state, group):
        state["square_avg"].mul_(group["gamma"]).add_((1 - group["gamma"]) * g.square())
        p -= group["lr"] * g / (torch.sqrt(state["square_avg"]) + group["eps"])


class Adding(optimizers.Yogi):
    """Yogi that adds every square, whether it is larger than the mean or not."""

    def move(self, p, g, state, group):
        state["exp_avg_sq"].sub_((1 - group["betas"][1]) * g.square())
        super().move(p, g, state, group)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, twin, wrong", [("gorge-rmsprop", "RMSPropScratch", Outside), ("airfoil-yogi", "Yogi", Adding)]
)
def test_control_a_wrong_optimiser_fails_at_the_update(monkeypatch, name, twin, wrong):
    monkeypatch.setattr(optimizers, twin, wrong)
    failed = failures(check_case(get(name), steps=1))
    assert failed and all("update" in key or "optimizer" in key or "after" in key for key in failed)


@pytest.mark.slow
def test_a_schedule_of_a_case_is_taken_by_the_twin_and_a_late_one_fails(monkeypatch):
    case = get("airfoil-minibatch").with_turn(optimizer=partial(optim.SGD, lr=ByEpoch(SquareRootScheduler, updates=1)))
    assert check_case(case, steps=3).status == "pass"
    monkeypatch.setattr("parity.twin.torch_side.scheduler_of", lambda optimizer: None)
    failed = failures(check_case(case, steps=3))
    assert failed and not any(key.startswith("step 1") for key in failed)
