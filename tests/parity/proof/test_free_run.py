"""All steps in a row: the distances are those of rounding, and a wrong optimiser leaves the way."""

from functools import partial

import pytest
from small_twin import flax_run, small_twin

from d2l_jax import optim
from d2l_jax.catalog import get
from parity.compare.policy import POLICY
from parity.proof.cases import check_case
from parity.proof.free_run import Way, free_run
from parity.sides.torch_runs import free_run_torch

WRONG = partial(optim.SGD, lr=0.11, momentum=0.9)


def run(twin):
    return free_run(twin, {tier: flax_run(twin, tier) for tier in ("float64", "float32")}, "cpu", POLICY)


def test_a_right_pair_stays_as_close_as_pytorch_stays():
    rows, distances = run(small_twin(steps=3))
    assert [d.step for d in distances] == [1, 2, 3]
    assert all(0 < d.flax32 < 1e-3 and d.flax64 < 1e-10 for d in distances)
    assert all(row.passed for tier in rows.values() for row in tier)


def test_distances_are_parts_of_a_way_that_grows():
    """Measures what a wrong optimiser leaves between the runs, which grows, and a run from itself, which is 0."""
    twin = small_twin(steps=3)
    oracle = free_run_torch(twin, "float64", "cpu")
    wrong = flax_run(twin.with_flax(optimizer=WRONG)).free()
    way = Way.of(twin, oracle)
    assert [way.apart(oracle, oracle, step) for step in (1, 2, 3)] == [0, 0, 0]
    assert 0 < way.lengths[0] < way.lengths[1] < way.lengths[2]
    first, second, third = (way.apart(oracle, wrong, step) * way.lengths[step - 1] for step in (1, 2, 3))
    assert 0 < first < second < third


@pytest.mark.slow
def test_control_a_wrong_optimiser_leaves_the_way():
    twin = small_twin(steps=2).with_flax(optimizer=WRONG)
    rows, distances = run(twin)
    assert not all(row.passed for row in rows["float64"]) and not all(row.passed for row in rows["float32"])
    assert distances[0].flax32 > 0.05


@pytest.mark.slow
def test_a_model_without_tensors_is_followed():
    result = check_case(get("positional-encoding"), steps=2)
    assert result.status == "pass", result.error
