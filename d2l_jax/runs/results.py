"""The files of a training run: `metrics.json`, `curves.png`, and `predictions.png` or `predictions.txt`."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from d2l_jax.case import Case
from d2l_jax.data import Dataset
from d2l_jax.runs.plot import Sample, draw_attention, draw_curves, draw_images, draw_scatter
from d2l_jax.runs.texts import Texts
from d2l_jax.train import Record
from d2l_jax.write import replacing, write_json

METRICS, CURVES, PREDICTIONS, TEXTS, ATTENTION = (
    "metrics.json", "curves.png", "predictions.png", "predictions.txt", "attention.png"
)  # fmt: skip

Figures = dict[str, Any]


class Result(NamedTuple):
    """What a run ends with.

    metrics: the content of its `metrics.json`
    sample:  (true values, outputs) of some test examples; or what the model writes
    """

    metrics: dict[str, Any]
    sample: Sample | Texts


def figures(record: Record, case: Case) -> Figures:
    """The record by name; of text the perplexities, exp(loss), in place of accuracies; a regression has neither."""
    named = record._asdict()
    if case.outputs == "scores":
        return named
    named = {k: v for k, v in named.items() if not k.endswith("accuracy")}
    if case.outputs == "tokens":
        named |= {f"{split}_perplexity": _exp(named[f"{split}_loss"]) for split in ("train", "test")}
    return named


def _exp(loss: float) -> float:
    return math.exp(min(loss, 700.0))  # a loss of diverging training may be above what a float holds


def best(records: list[Figures]) -> Figures:
    """The record of the highest test accuracy, or else the lowest test loss; the earliest of several."""
    return max(records, key=lambda record: (record.get("test_accuracy", 0), -record["test_loss"]))


def described(record: Figures) -> str:
    """The record in words."""
    names = [f"{split}_{kind}" for split in ("train", "test") for kind in ("loss", "accuracy", "perplexity")]
    names = [name for name in names if name in record]
    return "  ".join(f"{name.removeprefix('train_').replace('_', ' ')} {record[name]:.4f}" for name in names)


def write_results(result: Result, data: Dataset, out: Path) -> list[Path]:
    """Writes the files into `out` and returns their paths; InputError where that fails."""
    write_json(out / METRICS, result.metrics)
    if isinstance(result.sample, Texts):
        return _write_texts(result.metrics, result.sample, out)
    draw_curves(result.metrics, out / CURVES, result.sample)
    if "test_accuracy" in result.metrics["final"]:
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
