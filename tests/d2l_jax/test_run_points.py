"""`d2l-jax train valley`: the path of a point, its picture, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from d2l_jax.errors import InputError
from d2l_jax.runs.options import Options
from d2l_jax.runs.progress import Terminal
from d2l_jax.runs.training import trained

ENDS = {"valley": (-0.057646, -0.000073), "gorge-momentum": (0.007188, 0.002553)}  # of the book


@pytest.mark.parametrize("name", ENDS)
def test_a_path_ends_where_the_books_does(tmp_path: Path, name: str, capsys: pytest.CaptureFixture):
    with Terminal() as terminal:
        content = trained(Options(name, out=tmp_path), terminal)
    last = content["steps"][-1]
    np.testing.assert_allclose([last["x1"], last["x2"]], ENDS[name], atol=6e-7)
    assert {path.name for path in tmp_path.iterdir()} == {"path.png", "path.json"}
    assert json.loads((tmp_path / "path.json").read_text()) == content and len(content["steps"]) == 21
    assert f"x1 {ENDS[name][0]:.6f}" in capsys.readouterr().out
    with pytest.raises(InputError, match="holds a path already; give another --out"):
        trained(Options(name, out=tmp_path), terminal)


def test_a_rate_that_is_too_large_is_followed(tmp_path: Path):
    with Terminal() as terminal:
        content = trained(Options("valley", lr=1.1, epochs=5, out=tmp_path / "away"), terminal)
        beyond = trained(Options("valley", lr=1e30, out=tmp_path / "beyond"), terminal)
    assert content["lr"] == 1.1 and content["steps"][-1]["height"] > 1e3 * content["steps"][0]["height"]
    assert beyond["steps"][-1] == {"x1": None, "x2": None, "height": None}


@pytest.mark.parametrize(
    "options, line",
    [
        (dict(batch_size=3), "valley is a point that descends; leave --batch-size out"),
        (dict(framework="torch"), "valley is drawn by JAX alone; `parity check valley` compares it with PyTorch"),
        (dict(epochs=0), "--epochs 0 is too small; give 1 step or more"),
        (dict(lr=float("nan")), "--lr nan is no learning rate; give a number above 0"),
    ],
)
def test_what_has_no_meaning_is_refused(tmp_path: Path, options: dict, line: str):
    with Terminal() as terminal, pytest.raises(InputError) as error:
        trained(Options("valley", out=tmp_path / "run", **options), terminal)
    assert str(error.value) == line and not (tmp_path / "run").exists()
