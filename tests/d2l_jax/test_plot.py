"""Pictures of runs: formats by suffix, runs told apart, words at the axes of attention."""

import json
from pathlib import Path

import numpy as np
import pytest

from d2l_jax.errors import InputError
from d2l_jax.runs import plot
from d2l_jax.runs.texts import Text, Texts

RECORDS = [{"epoch": n, "train_loss": 1 / n, "test_loss": 1.5 / n} for n in (1, 2, 3)]
STARTS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


def run(folder: Path, model: str = "mlp", framework: str = "jax") -> Path:
    folder.mkdir(parents=True)
    metrics = {"model": model, "framework": framework, "records": RECORDS, "final": RECORDS[-1], "data": {"name": "d"}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture
def drawn(monkeypatch):
    """Returns every panel of curves that is drawn."""
    axes = []
    stock = plot._curve_panel

    def panel(axis, *args):
        stock(axis, *args)
        axes.append(axis)

    monkeypatch.setattr(plot, "_curve_panel", panel)
    return axes


@pytest.mark.parametrize("kind", plot.FORMATS)
def test_a_picture_has_the_format_of_its_suffix(kind, tmp_path):
    plot.compare_curves([run(tmp_path / "one")], tmp_path / f"curves.{kind}")
    assert (tmp_path / f"curves.{kind}").read_bytes().startswith(STARTS[kind])


def test_another_suffix_is_refused_before_anything_is_drawn(tmp_path, drawn):
    with pytest.raises(InputError, match="png, pdf, svg is right"):
        plot.compare_curves([run(tmp_path / "one")], tmp_path / "curves.docx")
    assert not drawn and not (tmp_path / "curves.docx").exists()


def test_two_runs_of_one_framework_have_names_and_colours_of_their_own(tmp_path, drawn):
    plot.compare_curves([run(tmp_path / "a" / "mlp"), run(tmp_path / "b" / "mlp")], tmp_path / "both.svg")
    (axis,) = drawn
    labels = [line.get_label() for line in axis.lines]
    assert labels == ["a/mlp train", "a/mlp test", "b/mlp train", "b/mlp test"]
    assert len({line.get_color() for line in axis.lines}) == 4


def test_jax_beside_pytorch_has_the_same_colours_and_dashes(tmp_path, drawn):
    plot.compare_curves([run(tmp_path / "a"), run(tmp_path / "b", framework="torch")], tmp_path / "both.png")
    (axis,) = drawn
    ours, _, theirs, _ = axis.lines
    assert ours.get_color() == theirs.get_color() and theirs.get_linestyle() == "--" != ours.get_linestyle()


@pytest.mark.parametrize("count", [2, 3])
def test_the_names_of_many_runs_stand_beside_the_curves(count, tmp_path, drawn):
    plot.compare_curves([run(tmp_path / str(n)) for n in range(count)], tmp_path / "all.png")
    (axis,) = drawn
    assert (axis.get_legend() is None) == (len(axis.figure.legends) == 1) == (count == 3)


@pytest.mark.parametrize(
    "runs, names",
    [
        ([("x/a", "mlp", "jax"), ("x/b", "mlp", "torch")], ["JAX", "PyTorch"]),
        ([("x/a", "mlp", "jax"), ("x/b", "lenet", "jax")], ["mlp", "lenet"]),
        ([("a", "mlp", "jax"), ("b", "mlp", "torch"), ("c", "lenet", "jax")], ["mlp JAX", "mlp PyTorch", "lenet JAX"]),
        ([("x/a", "mlp", "jax"), ("x/b", "mlp", "jax")], ["a", "b"]),
        ([("x/a", "mlp", "jax"), ("y/a", "mlp", "jax")], ["x/a", "y/a"]),
        ([("x/a", "mlp", "jax"), ("x/a", "mlp", "jax")], ["mlp JAX (1)", "mlp JAX (2)"]),
    ],
)  # fmt: skip
def test_runs_have_the_shortest_names_that_differ(runs, names):
    metrics = [{"model": model, "framework": framework} for _, model, framework in runs]
    assert plot.names_of(metrics, [Path(folder) for folder, *_ in runs]) == names


TEXT = Text("go home .", "va là !")


def test_words_stand_at_both_axes_of_every_attention():
    source, made = ["go", "home", ".", "<eos>"], ["va", "là", "!", "<eos>"]
    assert plot.words_of("encoder.blks.0.attention.attention", TEXT) == (source, source)
    assert plot.words_of("decoder.attention", TEXT) == (made, source)
    assert plot.words_of("decoder.blks.1.attention2.attention", TEXT) == (made, source)
    assert plot.words_of("decoder.blks.1.attention1.attention", TEXT) == (made, ["<bos>", "va", "là", "!"])


def test_several_heads_have_words_too(tmp_path, monkeypatch):
    seen = []
    stock = plot._worded
    monkeypatch.setattr(plot, "_worded", lambda axis, *args: (seen.append(axis), stock(axis, *args))[1])
    weights = {"encoder.a": np.ones((2, 3, 6, 6)) / 6, "decoder.attention1": np.ones((2, 1, 5, 5)) / 5}
    metrics = {"model": "m", "framework": "jax", "data": {"name": "d"}}
    plot.draw_attention(metrics, Texts([TEXT, Text("go .", "va !")], weights), tmp_path / "attention.png")
    words = [[label.get_text() for label in axis.get_xticklabels()] for axis in seen]
    assert words[:3] == [["go", "home", ".", "<eos>"]] * 3 and words[4] == ["<bos>", "va", "!"]
