"""`d2l-jax train style-transfer --framework torch`: the same images as in JAX, from the same start (section 14.12)."""

import json
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from d2l_jax.data.images.photos import drawn_photos
from d2l_jax.runs.comparison import LOSSES
from d2l_jax.runs.iterations import JaxIterations
from d2l_jax.runs.options import Options
from d2l_jax.runs.style import configured, transfer
from parity.sides.iterations import TorchIterations

NAME = "style-transfer-vgg16"
STEPS = 4


@pytest.fixture(scope="module")
def start():
    case = configured(Options(NAME, lr=0.1))
    case = replace(case, args=case.probe)
    model = case.build()
    pictures = case.draw(np.random.default_rng(0))
    model["image"].weight[...] = jnp.asarray(pictures["content"])
    return case, model, pictures


def taken(steps) -> list[dict]:
    results = [steps.step() for _ in range(STEPS)]
    return [{"loss": float(each["loss"])} | {name: float(each[name][0]) for name in LOSSES} for each in results]


@pytest.mark.slow
def test_both_frameworks_lead_the_image_to_the_same(start):
    ours = JaxIterations(*start)
    theirs = TorchIterations(*start)
    np.testing.assert_array_equal(ours.image(), theirs.image())
    for one, other in zip(taken(ours), taken(theirs), strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-6)
    assert np.abs(ours.image() - theirs.image()).mean() < 0.01 < np.abs(ours.image() - start[2]["content"][0]).mean()


@pytest.mark.slow
def test_control_another_rate_is_seen(start):
    case, *others = start
    ours = JaxIterations(configured(Options(NAME, lr=0.2)), *others)
    theirs = TorchIterations(*start)
    assert taken(ours)[-1]["loss"] != pytest.approx(taken(theirs)[-1]["loss"], rel=1e-3)


def test_the_extractor_stays(start):
    theirs = TorchIterations(*start)
    before = {name: tensor.clone() for name, tensor in theirs.model["net"].state_dict().items()}
    taken(theirs)
    assert all((tensor == before[name]).all() for name, tensor in theirs.model["net"].state_dict().items())
    assert all(tensor.grad is None for tensor in theirs.model["net"].parameters())


@pytest.mark.slow
def test_a_run_of_the_twin_leaves_the_same_files(tmp_path: Path):
    pictures = drawn_photos()
    Image.fromarray(pictures.content).save(tmp_path / "content.png")
    Image.fromarray(pictures.style).save(tmp_path / "style.png")
    runs = {}
    for framework in ("jax", "torch"):
        out = tmp_path / framework
        transfer(Options(NAME, data=str(tmp_path), epochs=3, image_size=32, framework=framework, out=out))
        runs[framework] = json.loads((out / "metrics.json").read_text())
        assert runs[framework]["framework"] == framework and framework in runs[framework]["versions"]
    ours, theirs = (run["records"] for run in runs.values())
    assert [each["loss"] for each in ours] == pytest.approx([each["loss"] for each in theirs], rel=1e-2)
    names = [{path.name for path in (tmp_path / framework).iterdir()} for framework in runs]
    assert names[0] - {"checkpoints"} == names[1] - {"training.pt"}
    assert names[0] == {"metrics.json", "images.png", "curves.png", "synthesized.png", "stages", "checkpoints"}
