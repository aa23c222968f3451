"""All steps in a row: the distances are those of rounding, and a wrong optimiser leaves the way."""

from functools import partial

from small_twin import flax_run, small_twin

from d2l_jax import optim
from parity.compare.policy import POLICY
from parity.proof.free_run import free_run


def run(twin):
    return free_run(twin, {tier: flax_run(twin, tier) for tier in ("float64", "float32")}, "cpu", POLICY)


def test_a_right_pair_stays_as_close_as_pytorch_stays():
    rows, distances = run(small_twin(steps=3))
    assert [d.step for d in distances] == [1, 2, 3]
    assert all(0 < d.flax32 < 1e-3 and d.flax64 < 1e-10 for d in distances)
    assert all(row.passed for tier in rows.values() for row in tier)


def test_control_a_wrong_optimiser_leaves_the_way():
    twin = small_twin(steps=2).with_flax(optimizer=partial(optim.SGD, lr=0.11, momentum=0.9))
    rows, distances = run(twin)
    assert not all(row.passed for row in rows["float64"]) and not all(row.passed for row in rows["float32"])
    assert distances[0].flax32 > 0.05
