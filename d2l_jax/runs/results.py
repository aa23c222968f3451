"""The files of a training run: `metrics.json`, `curves.png` and `predictions.png`."""

from pathlib import Path
from typing import Any, NamedTuple

from d2l_jax.case import Case
from d2l_jax.data import Dataset
from d2l_jax.runs.plot import Sample, draw_curves, draw_images, draw_scatter
from d2l_jax.train import Record
from d2l_jax.write import write_json

METRICS, CURVES, PREDICTIONS = "metrics.json", "curves.png", "predictions.png"

Figures = dict[str, Any]


class Result(NamedTuple):
    """What a run ends with: the content of its `metrics.json`, and (true values, outputs) of some test examples."""

    metrics: dict[str, Any]
    sample: Sample


def figures(record: Record, case: Case) -> Figures:
    """The record by name; a regression has no accuracies."""
    named = record._asdict()
    return named if case.outputs == "scores" else {k: v for k, v in named.items() if not k.endswith("accuracy")}


def best(records: list[Figures]) -> Figures:
    """The record of the highest test accuracy, or else the lowest test loss; the earliest of several."""
    return max(records, key=lambda record: (record.get("test_accuracy", 0), -record["test_loss"]))


def described(record: Figures) -> str:
    """The record in words."""
    names = [name for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy") if name in record]
    return "  ".join(f"{name.removeprefix('train_').replace('_', ' ')} {record[name]:.4f}" for name in names)


def write_results(result: Result, data: Dataset, out: Path) -> list[Path]:
    """Writes the three files into `out` and returns their paths; InputError where that fails."""
    write_json(out / METRICS, result.metrics)
    draw_curves(result.metrics, result.sample, out / CURVES)
    if "test_accuracy" in result.metrics["final"]:
        draw_images(result.metrics, data, result.sample[1], out / PREDICTIONS)
    else:
        draw_scatter(result.metrics, result.sample, out / PREDICTIONS)
    return [out / name for name in (METRICS, CURVES, PREDICTIONS)]
