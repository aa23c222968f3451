"""The rules of comparison, on arrays: each way in which other tools pass wrongly must fail here."""

import math

import numpy as np
import pytest
from keys import key, record

from parity.compare.classes import compare_classes
from parity.compare.policy import POLICY
from parity.compare.precision import compare_precision
from parity.compare.probes import MOST_PROBES, errors_of, high_probes, low_probes, noise_of
from parity.compare.rows import Row
from parity.compare.semantics import compare_semantics, steep_here, told_sharply
from parity.result import Result

T = np.random.default_rng(0).normal(size=(5, 7))
X = key("forward/x")


def semantics(oracle, flax, noise=0.0):
    oracle = record(oracle)
    return compare_semantics(oracle, record(flax), dict.fromkeys(oracle, noise), 35)


def only(rows):
    (row,) = rows
    return row


def test_equal_tensors_pass():
    assert only(semantics({"forward/y": T}, {"forward/y": T.copy()})).passed


@pytest.mark.parametrize(
    "change, because",
    [
        (lambda t: np.where(t > 1, np.nan, t), "not finite in Flax"),
        (lambda t: np.where(t > 1, np.inf, t), "not finite in Flax"),
        (lambda t: t[:, :1], "shape (5, 1) in Flax, (5, 7) in PyTorch"),
        (lambda t: t.T, "shape (7, 5)"),
        (lambda t: t[None], "shape (1, 5, 7)"),
        (lambda t: t.astype(np.float32), "float32 in Flax within a float64 run"),
        (lambda t: t[::-1], "ulp"),
        (lambda t: t + 1e-9 * np.where(np.arange(7) % 2, 1, -1), "ulp"),
        (lambda t: t.mean() * np.ones_like(t), "ulp"),
        (lambda t: t * (1 + 1e-10), "ulp"),
    ],
)
def test_what_is_wrong_fails(change, because):
    rows = [row for row in semantics({"forward/y": T}, {"forward/y": change(T)}) if not row.passed]
    assert because in rows[0].because


def test_not_finite_on_both_sides_is_no_agreement():
    bad = np.full(3, np.nan)
    assert not only(semantics({"forward/y": bad}, {"forward/y": bad})).passed


@pytest.mark.parametrize(
    "oracle, flax, because", [({"forward/x": T}, {}, "missing"), ({}, {"forward/x": T}, "only in Flax")]
)
def test_a_tensor_on_one_side_fails(oracle, flax, because):
    row = only(semantics(oracle, flax))
    assert because in row.because and row.gap == math.inf and not row.passed


def test_empty_tensors_compare_nothing():
    empty = np.zeros((0, 3))
    assert not only(semantics({"forward/x": empty}, {"forward/x": empty})).passed
    assert Result("x", "", 0, {"float64": []}).status == "error"


def test_counters_are_compared_exactly():
    count = np.asarray(7)
    assert only(semantics({"buffers/n": count}, {"buffers/n": count})).passed
    assert not only(semantics({"buffers/n": count}, {"buffers/n": count + 1})).passed


def test_the_noise_sets_the_threshold_and_has_a_ceiling():
    near = {"forward/x": T * (1 + 1e-13)}
    assert not only(semantics({"forward/x": T}, near)).passed
    assert only(semantics({"forward/x": T}, near, noise=1e-13)).passed
    row = only(semantics({"forward/x": T}, near, noise=1e-9))
    assert row.passed and row.threshold == POLICY.ceiling and "above it" in row.because
    row = only(semantics({"forward/x": T}, {"forward/x": T * (1 + 5e-9)}, noise=1e-9))
    assert not row.passed and "ill-conditioned" in row.because


@pytest.mark.parametrize("part", ["forward/x", "gradients/w", "update/w"])
@pytest.mark.parametrize(
    "gap, noise, before", [(5e-9, 1e-9, 0), (5e-9, 1e-9, 1e-10), (5e-9, 1e-9, 5e-9), (5e-8, 1e-9, 0)]
)
def test_a_state_in_which_rounding_moves_more_than_the_ceiling_hides_nothing_that_a_step_before_has_told(
    part, gap, noise, before
):
    earlier = semantics({part: T}, {part: T * (1 + before)}, noise)
    later = key(part)._replace(step=4)
    rows = compare_semantics({later: T}, {later: T * (1 + gap)}, {later: noise}, 35)
    row = only(steep_here(rows, told_sharply(earlier, POLICY), {later: noise}, POLICY))
    assert row.passed is (part != "update/w" and before < POLICY.ceiling and gap < 16 * noise)
    assert not only(steep_here(rows, (), {later: noise}, POLICY)).passed


def adam_start(gradient: np.ndarray) -> np.ndarray:
    return -1e-3 * gradient / (np.abs(gradient) + 1e-8)


def update_rows(change):
    """Returns the row of Adam's first update of many weights, whose gradients are rounded; `change` is Flax's bug."""
    random = np.random.default_rng(0)
    gradient = 1e-3 * random.normal(size=300_000)
    gradient[:5] = 3e-13
    keys = key("gradients/w"), key("update/w")
    runs = [
        dict(zip(keys, (g, adam_start(g)), strict=True)) for g in (gradient + 5e-18 * random.normal(size=(4, 300_000)))
    ]
    oracle, flax, *moved = runs
    spread: dict = {}
    noise = noise_of(oracle, moved, spread)
    flax = flax | {keys[1]: change(flax[keys[1]])}
    rows = compare_semantics(oracle, flax, noise, 10**6, POLICY, spread=spread)
    return {row.key: row for row in rows}[keys[1]]


def test_an_update_is_judged_where_its_gradient_is_above_its_rounding():
    row = update_rows(lambda update: update)
    assert row.passed and "near its rounding" in row.because


def test_control_a_mistake_in_that_part_is_seen():
    assert not update_rows(lambda update: update * (1 + 1e-8)).passed


def test_noise_and_errors_are_the_largest_of_the_runs():
    scale = np.sqrt(np.mean(T**2))
    runs = [{X: T + 1e-9}, {X: T - 3e-9}]
    assert noise_of({X: T}, runs)[X] == pytest.approx(3e-9 / scale, rel=1e-5)
    assert errors_of({X: T}, runs)[X] == pytest.approx(3e-9 / scale, rel=1e-5)
    assert errors_of({X: T}, [{X: T * np.nan}])[X] == math.inf


@pytest.mark.parametrize("first", [0, 1, 4, 30])
def test_there_is_an_end_of_probes(first):
    low, high = list(low_probes(POLICY, first)), list(high_probes(first, 4))
    for ulps in (1, 3):
        seeds = [seed for some, by, operations in low if by == ulps and not operations for seed in some if seed >= 0]
        assert seeds == list(range(max(first, MOST_PROBES))), ulps
    assert low[0] == (range(-1, 0), 1, False) and high[-1] == (range(4), True)
    assert low[-1] == (range(MOST_PROBES), 1, True)


def test_the_spread_of_a_single_number_is_noted():
    key = X._replace(phase="update", tensor="eps")
    spread = {}
    noise_of({key: np.array(1.0)}, [{key: np.array(1.5)}, {key: np.array(0.75)}], spread)
    assert spread[key] == 0.5


def test_what_is_zero_in_exact_arithmetic_is_measured_against_its_layer():
    oracle = {"gradients/conv.weight": T, "gradients/conv.bias": np.full(3, 1e-17)}
    other = {"gradients/conv.weight": T, "gradients/conv.bias": np.full(3, -4e-17)}
    rows = {row.name: row for row in semantics(oracle, other)}
    assert rows["conv.bias"].passed and "analytically zero" in rows["conv.bias"].because
    rows = {row.name: row for row in semantics(oracle, other | {"gradients/conv.bias": np.full(3, 1e-9)})}
    assert not rows["conv.bias"].passed


def test_float32_is_judged_by_pytorchs_own_error():
    single = T.astype(np.float32)
    reference = errors_of({X: T}, [{X: single}])
    assert only(compare_precision({X: T}, reference, {X: single}, 35)).passed
    worse = single * np.float32(1 + 1e-5)
    assert not only(compare_precision({X: T}, reference, {X: worse}, 35)).passed
    assert only(compare_precision({X: T}, {X: 1e-5}, {X: worse}, 35)).passed
    assert not only(compare_precision({X: T}, {X: math.inf}, {X: single}, 35)).passed


def test_a_class_may_flip_only_where_the_margin_is_small():
    oracle = {"forward/output": np.array([[1.0, 1.0 + 1e-8, 0.0], [3.0, 1.0, 0.0]])}
    limit = [Row(key("forward/output"), 0.0, 1e-7, "", "pass")]
    near = {"forward/output": np.array([[1.0 + 1e-8, 1.0, 0.0], [3.0, 1.0, 0.0]])}
    far = {"forward/output": np.array([[1.0, 1.0 + 1e-8, 0.0], [1.0, 3.0, 0.0]])}
    (excused,), (wrong,) = (compare_classes(record(oracle), record(flax), limit) for flax in (near, far))
    assert excused.passed and excused.because.startswith("1 of 2 classes flip")
    assert not wrong.passed and wrong.gap == 1


@pytest.mark.parametrize(("gradient", "eps", "passes"), [(1e-17, 1e-8, True), (0.0, 1e-6, False), (1e-9, 1e-8, False)])
def test_what_an_optimiser_keeps_of_such_a_gradient_too(gradient, eps, passes):
    weight, bias = (key(f"gradients/conv.{name}") for name in ("weight", "bias"))
    slots = [each._replace(phase="optimizer", slot="exp_inf") for each in (weight, bias)]
    oracle = {weight: T, bias: np.full(3, 1e-17), slots[0]: np.abs(T), slots[1]: np.full(3, 1e-8)}
    flax = oracle | {slots[1]: np.full(3, eps + gradient)}
    row = next(row for row in compare_semantics(oracle, flax, dict.fromkeys(oracle, 0.0), 35) if row.key == slots[1])
    assert row.passed is passes and "of a gradient that is analytically zero" in row.because
