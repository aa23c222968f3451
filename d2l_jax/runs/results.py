"""The files of a training run: `metrics.json`, `curves.png`, and `predictions.png` or `predictions.txt`."""

from pathlib import Path
from typing import Any, NamedTuple

from d2l_jax.data import Dataset
from d2l_jax.runs.boxes import Sightings, draw_sightings
from d2l_jax.runs.plot import Predictions, draw_attention, draw_curves, draw_images, draw_scatter
from d2l_jax.runs.segments import draw_segments
from d2l_jax.runs.sentences import SENTENCES, draw_confusion
from d2l_jax.runs.texts import Texts
from d2l_jax.train import EpochMeans
from d2l_jax.write import replacing, write_json

METRICS, CURVES, PREDICTIONS, TEXTS, ATTENTION = (
    "metrics.json", "curves.png", "predictions.png", "predictions.txt", "attention.png"
)  # fmt: skip

Figures = dict[str, Any]


class RunResult(NamedTuple):
    """The end of a run.

    metrics: the content of its `metrics.json`
    sample:  (true values, outputs) of some test examples; or what the model writes, or sees in pictures
    """

    metrics: dict[str, Any]
    sample: Predictions | Texts | Sightings


def figures(means: EpochMeans) -> Figures:
    """Returns the figures of both splits by name: "train_loss", "test_accuracy", "test_perplexity" ..."""
    splits = {"train": means.train, "test": means.test}
    named = {f"{split}_{name}": value for split, values in splits.items() for name, value in values.items()}
    return {"epoch": means.epoch} | named


def best(records: list[Figures]) -> Figures:
    """The record of the highest test accuracy, or else the lowest test loss; the earliest of several."""
    return max(records, key=lambda record: (record.get("test_accuracy", 0), -record["test_loss"]))


def described(record: Figures) -> str:
    """Returns the record in words."""
    names = [name for name in record if name.startswith(("train_", "test_"))]
    return "  ".join(f"{name.removeprefix('train_').replace('_', ' ')} {record[name]:.4f}" for name in names)


def write_results(result: RunResult, data: Dataset, out: Path) -> list[Path]:
    """Writes the files into `out` and returns their paths; InputError where that fails."""
    write_json(out / METRICS, result.metrics)
    if isinstance(result.sample, Texts):
        return _write_texts(result.metrics, result.sample, out)
    if isinstance(result.sample, Sightings):
        draw_curves(result.metrics, out / CURVES)
        draw_sightings(result.metrics, result.sample, data.classes, out / PREDICTIONS)
        return [out / name for name in (METRICS, CURVES, PREDICTIONS)]
    draw_curves(result.metrics, out / CURVES, result.sample)
    if data.kind in SENTENCES:
        draw_confusion(result.metrics, *result.sample, data.classes, out / PREDICTIONS)
    elif data.kind == "segmentation":
        draw_segments(result.metrics, data, result.sample[1], out / PREDICTIONS)
    elif "test_accuracy" in result.metrics["final"]:
        draw_images(result.metrics, data, result.sample[1], out / PREDICTIONS)
    else:
        draw_scatter(result.metrics, result.sample, out / PREDICTIONS)
    return [out / name for name in (METRICS, CURVES, PREDICTIONS)]


def _write_texts(metrics: dict[str, Any], texts: Texts, out: Path) -> list[Path]:
    draw_curves(metrics, out / CURVES)
    with replacing(out / TEXTS) as part:
        part.write_text("".join(f"{text}\n" for text in texts.samples), encoding="utf-8")
    if texts.attention:
        draw_attention(metrics, texts, out / ATTENTION)
    return [out / name for name in (METRICS, CURVES, TEXTS, *([ATTENTION] if texts.attention else []))]
