"""Training a DCGAN: its pictures, its run in both frameworks, and the one line where it cannot go on."""

import json
import zipfile
from functools import partial

import numpy as np
import pytest
from PIL import Image

from d2l_jax import InputError
from d2l_jax.catalog import get
from d2l_jax.data.images.sprites import Sprites, sprites
from d2l_jax.runs import sprites as run
from d2l_jax.runs.adversaries import JaxAdversaries
from d2l_jax.runs.options import Options
from d2l_jax.runs.run import SILENT, Listener
from d2l_jax.train import TrainingDiverged
from d2l_jax.weights import file
from parity.sides.adversaries import TorchAdversaries


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("D2L_DATA", raising=False)


def pictures(folder):
    """Two folders with a half-transparent red picture each, one of another size."""
    for name, size in (("a", 64), ("b", 40)):
        (folder / name).mkdir(parents=True)
        pixels = np.zeros((size, size, 4), np.uint8)
        pixels[: size // 2] = [255, 0, 0, 255]
        Image.fromarray(pixels).save(folder / name / "one.png")


def test_a_transparent_background_is_white(tmp_path):
    pictures(tmp_path)
    data = sprites(tmp_path)
    assert data.X.shape == (2, 64, 64, 3) and data.classes == ("a", "b") and data.y.tolist() == [0, 1]
    assert (data.X[0, 0, 0] == [255, 0, 0]).all() and (data.X[:, -1, 0] == 255).all()


def test_a_zip_is_read_as_its_folder(tmp_path):
    pictures(tmp_path / "in")
    (tmp_path / "out").mkdir()
    with zipfile.ZipFile(tmp_path / "out" / "pictures.zip", "w") as archive:
        for path in sorted((tmp_path / "in").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path / "in"))
    assert np.array_equal(sprites(tmp_path / "out").X, sprites(tmp_path / "in").X)


def test_digits_stand_in_and_a_folder_without_pictures_is_refused(tmp_path):
    data = sprites()
    assert data.X.shape == (1797, 64, 64, 3) and len(data.classes) == 10
    with pytest.raises(InputError, match="holds no pictures; .png or .jpg files, or one zip of them, are right"):
        sprites(tmp_path)
    (tmp_path / "a.png").write_bytes(b"none")
    with pytest.raises(InputError, match="a.png is no whole picture .it is in no format that Pillow knows."):
        sprites(tmp_path)


def test_a_picture_alone_is_refused_before_anything_is_learned(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="1 picture; two or more are right"):
        run.draw_sprites(Options("dcgan-small", data=str(tmp_path), out=tmp_path / "out"))


def small():
    """The small DCGAN with hardly any channels, which compiles in a moment."""
    case = get("dcgan-small")
    return run.replace(case, args={name: case.args[name] | case.probe[name] for name in case.args})


@pytest.fixture
def few(monkeypatch):
    X = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), np.uint8)
    monkeypatch.setattr(run, "sprites", lambda folder: Sprites(X, np.arange(9, dtype=np.int32) % 2, ("a", "b"), "some"))
    monkeypatch.setattr(run, "get", lambda name: small())
    monkeypatch.setattr(run, "MEASURED", 6)
    monkeypatch.setattr("d2l_jax.runs.features.BATCH", 4)
    monkeypatch.setattr("d2l_jax.runs.features.EPOCHS", 1)


class Heard(Listener):
    """Keeps the news of every batch."""

    def __init__(self):
        self.events = []

    def event(self, event):
        self.events.append(event[:3])


@pytest.mark.slow
def test_both_frameworks_learn_the_same(few, tmp_path):
    runs = {}
    for framework in ("jax", "torch"):
        out = tmp_path / framework
        heard = Heard()
        options = Options("dcgan-small", epochs=2, batch_size=4, out=out, framework=framework)
        runs[framework] = run.draw_sprites(options, heard)
        assert heard.events == [(epoch, batch, 2) for epoch in (1, 2) for batch in (1, 2)]
        assert {path.name for path in (out / "samples").iterdir()} == {"epoch-001.png", "epoch-002.png"}
        assert (out / "curves.png").exists() and (out / "weights.safetensors").exists()
        assert json.loads((out / "metrics.json").read_text())["records"] == runs[framework]["records"]
    for name in ("discriminator_loss", "generator_loss", "fid"):
        first, second = ([record[name] for record in runs[each]["records"]] for each in ("jax", "torch"))
        assert first == pytest.approx(second, rel=1e-2) and first[0] != first[1], name
    with pytest.raises(InputError, match="holds a run already"):
        run.draw_sprites(Options("dcgan-small", out=tmp_path / "jax"))


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["jax", "torch"])
def test_two_epochs_and_one_more_are_three(few, tmp_path, framework):
    def trained(out, **options):
        run.draw_sprites(Options("dcgan-small", batch_size=4, out=tmp_path / out, framework=framework, **options))
        records = json.loads((tmp_path / out / "metrics.json").read_text())["records"]
        return [record | {"seconds_per_step": 0} for record in records], file.read(tmp_path / out / file.NAME)

    trained("parts", epochs=2)
    resumed, its_weights = trained("parts", epochs=3, resume=True)
    whole, weights = trained("whole", epochs=3)
    assert resumed == whole and len(whole) == 3
    assert all(np.array_equal(array, weights[name]) for name, array in its_weights.items())
    for options, words in (
        ({"epochs": 2, "resume": True}, "has 3 epochs already"),
        ({"epochs": 4, "resume": True, "lr": 1.0}, "lr"),
        ({"epochs": 4}, "continue it with --resume"),
    ):
        with pytest.raises(InputError, match=words):
            trained("parts", **options)


@pytest.mark.slow
@pytest.mark.parametrize("adversaries", [JaxAdversaries, TorchAdversaries])
def test_pictures_leave_the_nets_as_they_are(adversaries):
    case = small()
    nets = adversaries(case, case.build())
    before = {name: array.copy() for name, array in nets.weights().items()}
    first, second = (nets.images(run.latents(0, 3)) for _ in range(2))
    assert np.array_equal(first, second) and first.shape == (3, 64, 64, 3)
    for name, array in nets.weights().items():
        assert np.array_equal(array, before[name]), name


@pytest.mark.parametrize("turn", ["discriminator", "generator"])
def test_a_loss_that_is_no_number_names_the_turn_and_the_step(turn):
    class Broken:
        taken = 0

        def step(self, batch):
            self.taken += 1
            losses = {"discriminator_loss": 0.5, "generator_loss": 0.5}
            return losses | ({f"{turn}_loss": np.nan} if self.taken == 2 else {})

    data = Sprites(np.zeros((8, 64, 64, 3), np.uint8), np.zeros(8, np.int32), ("a",), "some")
    with pytest.raises(TrainingDiverged, match=f"^training diverged: the {turn} loss is nan at epoch 1, step 2$"):
        run._epoch(Broken(), data, 2, 0, 1, SILENT)


@pytest.mark.parametrize(
    "option, words",
    [
        ({"image_size": 32}, "leave --image-size out"),
        ({"lr": -1.0}, "is no learning rate"),
        ({"batch_size": 1}, "--batch-size 1 is too small; give 2 or more"),
    ],
)
def test_an_option_without_a_meaning_is_refused(option, words):
    with pytest.raises(InputError, match=words):
        run.configured(Options("dcgan-small", **option))


def test_the_rate_of_both_turns_is_the_options():
    case = run.configured(Options("dcgan-small", lr=0.125, epochs=3))
    assert [turn.optimizer.keywords["lr"] for turn in case.turns] == [0.125] * 2 and case.epochs == 3
    assert isinstance(case.turns[0].optimizer, partial)
