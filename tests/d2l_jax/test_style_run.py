"""`d2l-jax train style-transfer`: its files, its extractor's weights, and what is refused (section 14.12)."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from d2l_jax import models
from d2l_jax.data.images.photos import drawn_photos, photos
from d2l_jax.errors import InputError
from d2l_jax.runs import style
from d2l_jax.runs.comparison import LOSSES, compare
from d2l_jax.runs.options import Options
from d2l_jax.runs.style import configured, load_extractor, transfer
from d2l_jax.weights import file
from d2l_jax.weights.vgg16 import CAFFE_MEAN, MEAN, STD, read_vgg16

NAME = "style-transfer-vgg16"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = drawn_photos()
    Image.fromarray(pictures.content).save(tmp_path / "rainier.jpg")
    Image.fromarray(pictures.style).save(tmp_path / "Style.PNG")
    return tmp_path


@pytest.mark.slow
def test_a_run_leaves_its_pictures_and_the_losses_fall(folder: Path):
    out = folder / "run"
    result = transfer(Options(NAME, data=str(folder), epochs=8, image_size=32, lr=0.1, out=out))
    files = {"metrics.json", "images.png", "curves.png", "synthesized.png", "stages", "checkpoints"}
    assert {path.name for path in out.iterdir()} == files
    records = json.loads((out / "metrics.json").read_text())["records"]
    assert records == result.metrics["records"] and [each["iteration"] for each in records] == list(range(1, 9))
    assert records[-1]["style_loss"] < records[0]["style_loss"]
    assert records[0]["content_loss"] == 0 < records[-1]["content_loss"]
    assert np.asarray(Image.open(out / "synthesized.png")).shape == (32, 48, 3)
    with pytest.raises(InputError, match="holds a run already"):
        transfer(Options(NAME, out=out))


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["jax", "torch"])
def test_an_interrupted_run_ends_as_if_it_had_not_been(folder: Path, monkeypatch: pytest.MonkeyPatch, framework):
    pytest.importorskip("torch")
    options = Options(NAME, data=str(folder), epochs=8, image_size=32, framework=framework)
    whole = transfer(replace(options, out=folder / "whole"))

    def stop(image: np.ndarray, path: Path) -> None:
        if path.stem == "iteration-6":
            raise KeyboardInterrupt
        save_image(image, path)

    save_image = style._save_image
    monkeypatch.setattr(style, "_save_image", stop)
    with pytest.raises(KeyboardInterrupt):
        transfer(replace(options, out=folder / "parts"))
    monkeypatch.undo()
    with pytest.raises(InputError, match="does not fit: the setting 'iterations' is 8 there and 9 here"):
        transfer(replace(options, out=folder / "parts", resume=True, epochs=9))
    resumed = transfer(replace(options, out=folder / "parts", resume=True))
    assert resumed.metrics["records"] == whole.metrics["records"]
    assert list(resumed.images) == list(whole.images) == [2, 4, 6, 8]
    assert all(np.array_equal(image, whole.images[number]) for number, image in resumed.images.items())


def test_pictures_by_name(folder: Path):
    found = photos(folder)
    assert found.source.startswith("rainier.jpg and Style.PNG")
    assert found.resized((20, 30)).style.shape == (20, 30, 3)
    (folder / "rainier.jpg").unlink()
    with pytest.raises(InputError, match="holds no content picture; content.jpg or rainier.jpg is needed"):
        photos(folder)
    (folder / "content.png").write_bytes(b"none")
    with pytest.raises(InputError, match="content.png is no whole picture"):
        photos(folder)
    with pytest.raises(InputError, match="is no folder"):
        photos(folder / "missing")


def test_the_drawn_pictures_stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("D2L_DATA", str(tmp_path))
    assert "drawn" in photos().source
    monkeypatch.delenv("D2L_DATA")
    np.testing.assert_array_equal(photos().content, drawn_photos().content)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 4}, "leave --batch-size out"),
        ({"buckets": 4}, "leave --buckets out"),
        ({"image_size": 8}, "32 rows or more"),
        ({"epochs": 0}, "give 1 iteration or more"),
        ({"lr": -1.0}, "no learning rate"),
        ({"seed": -1}, "give 0 or more"),
    ],
)
def test_options_without_a_meaning_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        configured(Options(NAME, **options))


def test_the_size_keeps_the_sections_aspect():
    assert configured(Options(NAME, image_size=64)).args["image"] == {"height": 64, "width": 96}


def test_weights_of_a_whole_vgg_go_into_the_extractor(tmp_path: Path):
    from twins import outline

    net = outline("vgg16_features", num_layers=3)
    tensors = {
        "features.0.weight": np.ones((64, 3, 3, 3), np.float32),
        "features.0.bias": np.zeros(64, np.float32),
        "features.2.weight": np.full((64, 64, 3, 3), 2, np.float32),
        "features.2.bias": np.zeros(64, np.float32),
        "classifier.0.bias": np.zeros(5, np.float32),
    }
    file.write(tensors, tmp_path / "vgg.safetensors")
    load_extractor(net, tmp_path / "vgg.safetensors")
    assert float(net[2].kernel[0, 0, 0, 0]) == 2
    del tensors["features.2.bias"]
    file.write(tensors, tmp_path / "vgg.safetensors")
    with pytest.raises(InputError, match="missing 2.bias"):
        load_extractor(net, tmp_path / "vgg.safetensors")


def test_caffes_weights_take_normalised_images(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    random = np.random.default_rng(0)
    sizes = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    blocks = [2, 2, 3, 3, 3]
    with h5py.File(tmp_path / "vgg.h5", "w") as target:
        inputs = 3
        for block, count in enumerate(blocks):
            for i in range(count):
                outputs = sizes[sum(blocks[:block]) + i]
                layer = f"block{block + 1}/layers/conv2d{f'_{i}' if i else ''}/vars"
                shape = (3, 3, inputs, outputs)
                target[f"{layer}/0"] = random.normal(size=shape) if inputs == 3 else np.broadcast_to(0.5, shape)
                target[f"{layer}/1"] = random.normal(size=outputs)
                inputs = outputs
        kernel = np.asarray(target["block1/layers/conv2d/vars/0"])
        bias = np.asarray(target["block1/layers/conv2d/vars/1"])
    state = read_vgg16(tmp_path / "vgg.h5")
    assert list(state)[:2] == ["0.weight", "0.bias"] and state["28.bias"].shape == (512,)
    pixels = random.integers(0, 256, (3, 3, 3))
    caffe = np.einsum("hwi,hwio->o", (pixels - CAFFE_MEAN)[..., ::-1], kernel) + bias
    ours = np.einsum("hwi,oihw->o", (pixels / 255 - MEAN) / STD, state["0.weight"]) + state["0.bias"]
    np.testing.assert_allclose(ours * 255 * STD.mean(), caffe, rtol=1e-4, atol=1e-2)
    with h5py.File(tmp_path / "other.h5", "w") as target:
        target["x"] = np.zeros(3)
    with pytest.raises(InputError, match="holds no weights of VGG-16"):
        read_vgg16(tmp_path / "other.h5")


def test_the_extractor_may_be_asked_for_layers_by_number():
    assert models.StyleTransfer().style_layers == (0, 5, 10, 19, 28)
    assert models.StyleTransfer().content_layers == (25,)


def records(folder: Path, framework: str, key: str = "iteration") -> Path:
    folder.mkdir(parents=True)
    run = [{key: number, "loss": 1.0} | dict.fromkeys(LOSSES, 1 / number) for number in (1, 2)]
    (folder / "metrics.json").write_text(json.dumps({"model": NAME, "framework": framework, "records": run}))
    return folder


def test_runs_of_both_frameworks_are_drawn_into_one_picture(tmp_path: Path):
    folders = [records(tmp_path / framework, framework) for framework in ("jax", "torch")]
    compare(folders, tmp_path / "curves.svg")
    text = (tmp_path / "curves.svg").read_text()
    assert all(name in text for name in ("JAX content", "PyTorch content", "PyTorch tv"))
    assert text.count("stroke-dasharray") >= 3


def test_runs_over_epochs_beside_some_over_iterations_are_refused(tmp_path: Path):
    folders = [records(tmp_path / key, "jax", key) for key in ("iteration", "epoch")]
    with pytest.raises(InputError, match="runs of one kind are right"):
        compare(folders, tmp_path / "curves.png")
