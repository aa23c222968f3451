"""`d2l-jax train fcn`: a model made for the data, crops that are new in each epoch, maps in a picture (14.11)."""

from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from d2l_jax import losses, metrics
from d2l_jax.catalog import get
from d2l_jax.data import load
from d2l_jax.errors import InputError
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.run import Job, train
from d2l_jax.runs.segments import draw_segments
from d2l_jax.train import Loop, TrainState, fit, make_eval_step, make_train_step

METRICS = {"model": "fcn", "framework": "jax", "data": {"name": "scenes"}}


def small(size: tuple[int, int] = (32, 64)):
    case = get("fcn")
    args = case.args | {"width_mult": 0.0625}
    return replace(case, inputs=(16, *size, 3), resize=size, args=args, epochs=1)


def test_the_model_is_made_for_the_classes():
    assert fitted(small(), load("scenes", resize=(32, 64))).args["num_classes"] == 5


def test_crops_that_the_maps_do_not_cover_are_refused():
    with pytest.raises(InputError, match="gives maps of 64x64 for crops of 40x64; a size that 32 divides is right"):
        fitted(small((40, 64)), load("scenes", resize=(40, 64)))


def test_other_kinds_of_data_are_refused():
    with pytest.raises(InputError, match="fcn learns labels from images with masks; digits has labels for images"):
        fitted(small(), load("digits"))
    with pytest.raises(InputError, match="has labels for images with masks"):
        fitted(get("lenet"), load("scenes"))


@pytest.mark.slow
def test_the_loss_and_the_accuracy_leave_pixels_out():
    random = np.random.default_rng(0)
    logits = jnp.asarray(random.normal(size=(2, 3, 4, 5)))
    y = random.integers(0, 5, (2, 3, 4))
    whole = float(losses.pixel_cross_entropy(logits, y))
    assert whole == pytest.approx(float(losses.cross_entropy(logits, y)), rel=1e-12)
    y[0, 0] = 255
    mean = np.mean([float(losses.cross_entropy(logits[0, 1:], y[0, 1:])), float(losses.cross_entropy(logits[1], y[1]))])
    assert float(losses.pixel_cross_entropy(logits, y)) == pytest.approx(mean, rel=1e-12)
    right, count = metrics.correct_pixels({"output": logits, "targets": y})
    assert (int(right), int(count)) == ((np.asarray(logits).argmax(-1) == y).sum(), 20)
    assert float(losses.pixel_cross_entropy(logits, np.full_like(y, 255))) == 0


def test_examples_that_are_drawn_for_an_epoch_are_trained_on():
    case = get("linear-regression")
    model = case.build()
    loop = Loop(make_train_step(model, case.turns), make_eval_step(model, case.observe))
    asked = []

    def examples(epoch: int) -> dict[str, np.ndarray]:
        asked.append(epoch)
        return {"input": np.ones((6, 2), np.float32), "targets": np.full((6, 1), epoch, np.float32)}

    def order(epoch: int) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(6, dtype=np.int32).reshape(2, 3), np.zeros(0, np.int32)

    _, records = fit(loop, TrainState.create(model, case.turns), examples, examples(0), order=order, epochs=range(1, 4))
    assert asked == [0, 1, 2, 3]
    assert records[0].train["loss"] < records[2].train["loss"]


def test_maps_are_drawn_in_the_palette(tmp_path: Path):
    data = load("scenes", resize=(32, 64))
    outputs = np.eye(5, dtype=np.float32)[data.test[1][:3]]
    draw_segments(METRICS, data, outputs, tmp_path / "maps.png")
    drawn = {tuple(map(int, color)) for color in np.asarray(Image.open(tmp_path / "maps.png"))[..., :3].reshape(-1, 3)}
    assert {tuple(map(int, color)) for color in data.palette} <= drawn


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["jax", "torch"])
def test_a_run_of_either_framework(framework: str, tmp_path: Path):
    data = load("scenes", resize=(32, 64))
    result = train(Job(fitted(small(), data), data, tmp_path / framework, framework=framework))
    assert 0.2 < result.metrics["final"]["train_accuracy"] < 1
    assert {"curves.png", "predictions.png", "metrics.json"} <= {path.name for path in (tmp_path / framework).iterdir()}


@pytest.mark.slow
def test_both_frameworks_see_the_same_crops(tmp_path: Path):
    data = load("scenes", resize=(32, 64))
    case = fitted(small().of_batch_size(data.examples), data)  # one step, whose loss rounding does not move
    runs = [train(Job(case, data, tmp_path / name, framework=name)).metrics["final"] for name in ("jax", "torch")]
    assert runs[0]["train_loss"] == pytest.approx(runs[1]["train_loss"], rel=1e-5)
    same = replace(data, redraw=None)  # the crops of another epoch
    other = train(Job(case, same, tmp_path / "other", framework="torch")).metrics["final"]
    assert other["train_loss"] != pytest.approx(runs[0]["train_loss"], rel=1e-5)
