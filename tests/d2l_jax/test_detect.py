"""`python -m d2l_jax.runs.detect`: the objects of a picture, the picture with their boxes, and what is refused."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from d2l_jax.errors import InputError
from d2l_jax.models import TinySSD
from d2l_jax.runs.detect import detect, draw, main, opened
from d2l_jax.weights import file
from d2l_jax.weights.state_dict import state_dict

ARGS = {"num_classes": 1, "channels": [2, 2, 2, 2]}
BOX = (12, 6, 188, 94)  # 0.88 of a picture of 200x100, in its middle


def run_of(folder: Path, model: str = "tiny-ssd") -> Path:
    """Writes a run of 64x64 pixels that sees one object, by the first anchor of the last stage."""
    net = TinySSD(1, channels=(2, 2, 2, 2), rngs=nnx.Rngs(0))
    nnx.update(net, jax.tree.map(jnp.zeros_like, nnx.state(net, nnx.Param)))
    for stage in range(5):
        bias = np.tile([9.0, 0.0], 4)  # background, object
        bias[:2] = (0.0, 9.0) if stage == 4 else bias[:2]
        getattr(net, f"cls_{stage}").bias[...] = jnp.asarray(bias, jnp.float32)
    folder.mkdir()
    file.write(state_dict(net), folder / file.NAME)
    settings = {"model": model, "args": ARGS, "resize": [64, 64]}
    (folder / "metrics.json").write_text(json.dumps({"settings": settings}))
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (200, 100), (250, 240, 230)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.slow
def test_an_object_is_seen_in_pixels_of_the_picture(tmp_path, photo, capsys):
    main([str(run_of(tmp_path / "run")), str(photo)])
    seen, count = capsys.readouterr().out.splitlines()
    assert seen.startswith("class 0  confidence 1.000  box") and seen.endswith("{} {} {} {}".format(*BOX))
    assert count == f"1 objects of a confidence of 0.9 or more in {photo}"


@pytest.mark.slow
def test_a_lower_confidence_shows_more(tmp_path, photo, capsys):
    run = str(run_of(tmp_path / "run"))
    counts = []
    for least in ("1", "0.9", "0"):
        main([run, str(photo), "--confidence", least])
        *seen, told = capsys.readouterr().out.splitlines()
        assert all(float(line.split()[3]) >= float(least) for line in seen)
        assert told.startswith(f"{len(seen)} objects of a confidence of {float(least)}")
        counts.append(len(seen))
    assert counts[0] <= counts[1] == 1 <= counts[2]


def test_its_box_is_drawn_and_the_rest_stays(tmp_path, photo):
    picture = opened(photo)
    draw(picture, detect(run_of(tmp_path / "run"), picture), tmp_path / "boxes" / "out.png")
    drawn = np.asarray(Image.open(tmp_path / "boxes" / "out.png"))
    changed = np.argwhere((drawn != picture).any(-1))
    assert changed.min(0).tolist() == [BOX[1], BOX[0]] and changed.max(0).tolist() == [BOX[3], BOX[2]]
    assert (drawn[10:90, 20:180] == picture[10:90, 20:180]).all()


def test_a_picture_is_opened_once(tmp_path, photo, monkeypatch, capsys):
    run = run_of(tmp_path / "run")
    reads = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: reads.append(path) or read(path))
    monkeypatch.setattr(Image, "open", lambda source, open=Image.open: reads.append(source) or open(source))
    main([str(run), str(photo), str(tmp_path / "out.png")])
    assert reads.count(photo) == 1 and len(reads) == 2, reads  # the file, and the picture in its bytes


REFUSED = {
    "arguments are required: run, picture": lambda folder: [],
    "--confidence 1.5 is no probability": lambda folder: [folder / "run", folder / "photo.png", "--confidence", 1.5],
    "--confidence nan is no probability": lambda folder: [folder / "run", folder / "photo.png", "--confidence", "nan"],
    "no such run": lambda folder: [folder / "none", folder / "photo.png"],
    "which sees no boxes; one of tiny-ssd is right": lambda folder: [folder / "lenet", folder / "photo.png"],
    "is no whole picture": lambda folder: [folder / "run", folder / "nothing.png"],
    "text.png is no whole picture": lambda folder: [folder / "run", folder / "text.png"],
    "has the suffix of no picture": lambda folder: [folder / "run", folder / "photo.png", folder / "out.doc"],
    "cannot write": lambda folder: [folder / "run", folder / "photo.png", folder / "photo.png" / "out.png"],
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_wrong_call_is_one_line(tmp_path, photo, capsys, words):
    run_of(tmp_path / "run")
    run_of(tmp_path / "lenet", "lenet")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(SystemExit) as stopped:
        main(list(map(str, REFUSED[words](tmp_path))))
    told = capsys.readouterr()
    assert stopped.value.code == 2 and words in told.err and told.err.count("\n") == 1 and not told.out


def test_a_run_without_weights_is_one_line(tmp_path, photo):
    run = run_of(tmp_path / "run")
    (run / file.NAME).unlink()
    with pytest.raises(InputError):
        detect(run, opened(photo))
