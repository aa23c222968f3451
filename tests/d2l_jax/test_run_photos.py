"""Training on images that are changed at random: alike in either framework and in a resumed run, for any size."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from d2l_jax import losses, metrics, optim
from d2l_jax.augment import Augment, ColorJitter, Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop, ToFloat
from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.data import Dataset
from d2l_jax.data.drawn.shapes import shapes
from d2l_jax.errors import InputError
from d2l_jax.models import FrozenFeatures
from d2l_jax.runs.choice import choose_data
from d2l_jax.runs.details import training
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.options import Options
from d2l_jax.runs.run import Job, train
from d2l_jax.runs.settings import configured
from d2l_jax.weights import file
from d2l_jax.weights.pretrained import put_pretrained
from d2l_jax.weights.state_dict import state_dict

TESTED = Compose(ToFloat(), Normalize())
COLOURS = ColorJitter(0.4)
CHANGES = Augment(Compose(RandomResizedCrop((12, 10)), RandomHorizontalFlip(), COLOURS, ToFloat(), Normalize()), TESTED)


SIMPLE = Augment(Compose(RandomHorizontalFlip(), ToFloat()), ToFloat())


def photos(several: bool = True) -> Dataset:
    """Shapes of two kinds, 16x16, of which those to train on have a margin; the tests are 12x10."""
    drawn = shapes(2, 40, 12, 16)
    X, y = drawn.train
    X_test, y_test = drawn.test
    sizes = np.stack([np.arange(40) % 6 + 11, np.arange(40) % 5 + 12], 1).astype(np.int32) if several else None
    return replace(drawn, train=(X, y), test=(X_test[:, 2:14, 3:13].copy(), y_test), sizes=sizes)


def small(**changes) -> Case:
    case = replace(get("frozen-features"), data="two_shapes", epochs=2, inputs=(16, 12, 10, 3), augment=CHANGES)
    return replace(case, **{"args": {"num_channels": 5}} | changes)


def records(out: Path) -> list[dict]:
    return json.loads((out / "metrics.json").read_text())["records"]


@pytest.mark.slow
def test_both_frameworks_learn_from_the_same_changes(tmp_path: Path):
    data = photos()
    case = fitted(small(epochs=1), data)
    for framework in ("jax", "torch"):
        train(Job(case, data, tmp_path / framework, framework=framework))
    for ours, theirs in zip(records(tmp_path / "jax"), records(tmp_path / "torch"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert (tmp_path / "jax" / "augmented.png").read_bytes().startswith(b"\x89PNG")


def flipped() -> tuple[Case, Dataset]:
    """A case that flips images of one size, and 32 of them."""
    data = photos(several=False)
    X, y = data.train
    data = replace(data, train=(X[:32, 2:14, 3:13].copy(), y[:32]))
    return fitted(small(augment=SIMPLE), data), data


@pytest.mark.slow
def test_a_resumed_run_draws_the_same(tmp_path: Path):
    case, data = flipped()
    train(Job(case, data, tmp_path / "straight"))
    train(Job(replace(case, epochs=1), data, tmp_path / "parts"))
    train(Job(case, data, tmp_path / "parts", resume=True))
    assert records(tmp_path / "parts") == records(tmp_path / "straight")
    train(Job(replace(case, epochs=1, augment=SIMPLE._replace(train=ToFloat())), data, tmp_path / "plain"))
    assert records(tmp_path / "plain")[0]["train_loss"] != records(tmp_path / "straight")[0]["train_loss"]


@pytest.mark.slow
def test_the_loss_of_a_sum_is_told_as_a_mean(tmp_path: Path):
    """A sum over the batch at a rate is the mean at the rate times the batch."""
    case, data = flipped()
    of_mean = case.with_turn(optimizer=partial(optim.SGD, lr=0.016))
    summed = case.with_turn(optimizer=partial(optim.SGD, lr=0.001)).with_loss(losses.sum_cross_entropy)
    summed = replace(summed, metrics=metrics.OF_SUMS)
    for name, each in (("mean", of_mean), ("sum", summed)):
        train(Job(each, data, tmp_path / name))
    for left, right in zip(records(tmp_path / "mean"), records(tmp_path / "sum"), strict=True):
        assert left == pytest.approx(right, rel=1e-5)


def test_sizes_that_do_not_fit():
    with pytest.raises(InputError, match="takes images of one size; those of two_shapes differ"):
        fitted(small(augment=None), photos())
    with pytest.raises(InputError, match="takes images of 12x10x3 .*; two_shapes has 16x16x3"):
        fitted(small(augment=Augment(RandomHorizontalFlip(), ToFloat())), photos(several=False))


def test_options_change_the_crop_and_the_start(tmp_path: Path):
    case = configured(Options("resnet18-hotdog", image_size=32, weights=tmp_path / "a.safetensors"))
    assert case.augment is not None and case.augment.train.transforms[0].to == (32, 32)
    assert case.weights.endswith("a.safetensors") and case.arrays[0].shape == (128, 32, 32, 3)
    assert "RandomResizedCrop(to=(32, 32)" in training(case)["augmentation"]


def test_drawn_shapes_are_made_the_models_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("D2L_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    case = configured(Options("resnet18-hotdog", image_size=48, batch_size=8))
    data = choose_data(case)
    assert data.name == "two_shapes" and fitted(case, data).batch_size == 8


def test_pretrained_weights_leave_a_new_head_new(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Tensors that fit by key and shape are taken, below `features` too; a state_dict of another model is refused."""
    trained = FrozenFeatures(5, 7, rngs=nnx.Rngs(1))
    source = state_dict(trained)
    file.write(source, tmp_path / "weights.safetensors")
    new = FrozenFeatures(5, 2, rngs=nnx.Rngs(2))
    head = new.fc.kernel[...]
    taken = state_dict(put_pretrained(new, file.read(tmp_path / "weights.safetensors")))
    assert np.array_equal(taken["features.0.weight"], source["features.0.weight"])
    assert np.array_equal(taken["fc.weight"], head.T)
    left = "new: fc.weight, fc.bias; left out of the file: fc.bias (7,), fc.weight (7, 5)"
    assert caplog.messages == [f"7 tensors are from a state_dict; {left}"]
    below = state_dict(put_pretrained(FrozenFeatures(5, 2, rngs=nnx.Rngs(3)), state_dict(trained.features)))
    assert np.array_equal(below["features.0.weight"], source["features.0.weight"])
    with pytest.raises(InputError, match="no tensor of a state_dict fits FrozenFeatures"):
        put_pretrained(new, {"conv1.weight": np.zeros((3, 3))})
