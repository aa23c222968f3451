"""How a model is made larger along an axis, and the exponents that follow."""

import json
from dataclasses import replace

import jax
import pytest

from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.functional import functional
from parity.bench.axes import AXES
from parity.bench.plan import Plan
from parity.bench.scale import Growth, exponent, scale
from parity.bench.scale_report import scale_json, scale_picture, scale_table
from parity.twin.torch_side import torch_model

PLAN = Plan(batch_size=2, repeats=5, seconds=0.0, gflop=0.01)
HAS = {
    "mlp": {"batch", "width", "image"},
    "lenet": {"batch", "image"},
    "gru-lm": {"batch", "width", "steps"},
    "transformer": {"batch", "width", "depth", "steps"},
}


@pytest.mark.parametrize("name", HAS)
def test_a_model_has_the_axes_along_which_it_can_grow(name):
    assert {axis for axis, grow in AXES.items() if grow(get(name), 1)} == HAS[name]


@pytest.mark.parametrize("name, axis", [(name, axis) for name in HAS for axis in sorted(HAS[name] - {"batch"})])
def test_a_larger_model_takes_the_larger_inputs_on_both_sides(name, axis):
    small, large = (AXES[axis](get(name).of_batch_size(2), factor) for factor in (1, 2))
    assert large.value == 2 * small.value
    built = large.case.build()
    jax.eval_shape(*functional(built), *large.case.abstract_inputs())
    theirs = sum(p.numel() for p in torch_model(large.case).parameters())
    assert theirs == sum(leaf.size for leaf in jax.tree.leaves(functional(built).params))


def test_longer_sequences_have_longer_valid_lengths():
    source, target, lengths = AXES["steps"](get("transformer"), 4).case.arrays
    assert source.shape == target.shape == (128, 36) and lengths.below == 37


def test_the_exponent_of_a_known_law():
    assert exponent((1, 2, 4), (3.0, 12.0, 48.0)) == pytest.approx(2.0)
    assert exponent((1, 2), (3.0, None)) is None and exponent((1,), (3.0,)) is None


@pytest.mark.slow
def test_every_program_is_timed_at_every_size_within_the_budget(tmp_path):
    growths = scale([get("mlp")], replace(PLAN, gflop=0.005))
    assert [growth.axis for growth in growths] == ["batch", "width", "image"]
    batch, width, image = growths
    assert batch.status in ("ok", "disturbed") and batch.values == (2, 4) and width.values == (256, 512)
    assert image.values == (28,) and image.memory_slope is None
    assert 0.5 < width.memory_slope < 1.5
    for phase in batch.phases:
        assert {"jax", "torch_eager"} <= phase.measured.stats.keys()
        assert all(stats.number >= PLAN.repeats for stats in phase.measured.stats.values())
    json.dumps([scale_json(growth) for growth in growths], allow_nan=False)
    assert scale_table(growths).row_count == 3
    scale_picture(growths, tmp_path / "scale.png")
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")


def test_a_model_that_cannot_grow_is_an_error_of_its_own(tmp_path):
    (growth,) = scale([replace(get("linear-regression"), args={"in_features": -1})], PLAN)
    assert growth.status == "error" and scale_json(growth)["error"] and scale_json(growth)["sizes"] == []
    with pytest.raises(InputError, match="nothing to draw"):
        scale_picture([growth], tmp_path / "none.png")


def test_a_disturbed_measurement_has_no_exponent_of_time():
    assert Growth("x", "batch", (1, 2), (), ()).slope("jax") is None
