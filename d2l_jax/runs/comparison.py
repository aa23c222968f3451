"""Curves of several runs in one picture, over epochs or over the iterations of style transfer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2l_jax.errors import InputError
from d2l_jax.runs.plot import compare_curves, metrics_of, names_of, picture

LOSSES = {"content_loss": "#1f5fa8", "style_loss": "#d9722b", "tv_loss": "#237a43"}


def compare(folders: Sequence[Path], path: Path) -> None:
    """Draws the curves of the runs in these folders; those of PyTorch are dashed.

    Raises InputError where a folder holds no run, or runs over epochs stand beside some over iterations.
    """
    runs = [metrics_of(folder) for folder in folders]
    if len({over_iterations(run) for run in runs}) > 1:
        raise InputError("runs over epochs and over iterations have no curve in common; runs of one kind are right")
    if over_iterations(runs[0]):
        draw_losses(list(zip(runs, names_of(runs, folders), strict=True)), path)
    else:
        compare_curves(folders, path)


def over_iterations(metrics: dict[str, Any]) -> bool:
    """Tells whether the records of a run are of iterations: of style transfer."""
    return "iteration" in metrics["records"][0]


def draw_losses(runs: Sequence[tuple[dict[str, Any], str]], path: Path) -> None:
    """Draws the weighted losses of style transfer over the iterations, of one (metrics, name) or of several runs."""
    with picture(path, (6.0, 4.0)) as figure:
        axis = figure.subplots()
        for number, (metrics, name) in enumerate(runs):
            dashed = metrics.get("framework") == "torch" and len(runs) > 1
            look: dict[str, Any] = {"linestyle": (0, (4, 3)), "zorder": 3} if dashed else {"alpha": 0.6**number}
            iterations = [record["iteration"] for record in metrics["records"]]
            for loss, color in LOSSES.items():
                values = [record[loss] for record in metrics["records"]]
                label = f"{name} {loss.removesuffix('_loss')}".strip()
                axis.plot(iterations, values, color=color, label=label, **look)
        axis.set(xlabel="iteration", ylabel="weighted loss", yscale="log")
        axis.legend(frameon=False)
