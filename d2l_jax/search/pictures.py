"""Pictures of studies: errors against wall time (book, 19.3 and 19.5)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2l_jax.errors import InputError
from d2l_jax.runs.comparison import compare as compare_runs
from d2l_jax.runs.plot import TEST, TRAIN, picture
from d2l_jax.search.results import RESULT

PICTURE = "trajectory.png"
MARKS = {"completed": "o", "stopped": "x", "diverged": "v", "failed": "v"}
COLOURS = ("#1f5fa8", "#c2571a", "#237a43", "#6b3fa0", "#a8264f", "#555555")


def draw_study(result: dict[str, Any], path: Path) -> None:
    """Draws the error of every trial over the time of the study, and the least error so far; a cross is a stop."""
    with picture(path, (7.0, 4.2)) as figure:
        axis = figure.subplots()
        for trial in result["trials"]:
            points = result["curves"].get(str(trial["number"]), [])
            if points:
                seconds, errors = zip(*points)
                axis.plot(seconds, errors, color=TRAIN, alpha=0.35, linewidth=1)
                axis.plot(seconds[-1], errors[-1], MARKS.get(trial["ended"], "."), color=TRAIN, alpha=0.6, markersize=4)
        _trajectory(axis, result, TEST, "least error so far")
        settings = result["settings"]
        axis.set_title(f"{settings['model']} on {settings['data']}: {settings['scheduler']}")
        _label(axis)


def compare(folders: Sequence[Path], path: Path) -> list[str]:
    """Draws several studies, or several runs, into one picture: of studies the least error so far over their time.

    Returns, of studies, how long each took to the error that all of them have reached; of runs nothing.
    Raises InputError where a folder holds neither, or where the first is of a study and another is not.
    """
    if not (folders[0] / RESULT).is_file():
        compare_runs(folders, path)
        return []
    results = [result_of(folder) for folder in folders]
    names = [result["settings"]["scheduler"] for result in results]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    with picture(path, (7.0, 4.2)) as figure:
        axis = figure.subplots()
        for number, (result, name) in enumerate(zip(results, names)):
            _trajectory(axis, result, COLOURS[number % len(COLOURS)], name)
        _label(axis)
    return reached(results, names)


def reached(results: Sequence[dict[str, Any]], names: Sequence[str]) -> list[str]:
    """Returns a line for each study: when it reached the error that all have reached, and when its own least one."""
    errors = [result["error"] for result in results]
    if None in errors:
        return []
    common = max(errors)
    lines = []
    for result, name in zip(results, names):
        first, best = (next(at for at, error in result["trajectory"] if error is not None and error <= limit)
                       for limit in (common, result["error"]))  # fmt: skip
        epochs = sum(len(trial["errors"]) for trial in result["trials"])
        lines.append(
            f"{name}: error {common:.4f} after {first:.1f} s, {result['error']:.4f} after {best:.1f} s;"
            f" {len(result['trials'])} trials and {epochs} epochs in {result['seconds']:.1f} s"
        )
    return lines


def result_of(folder: Path) -> dict[str, Any]:
    """Returns the content of a study's `study.json`. Raises InputError where there is none."""
    try:
        return json.loads((folder / RESULT).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} holds no study: its {RESULT} is missing or garbled") from error


def _trajectory(axis: Any, result: dict[str, Any], colour: str, name: str) -> None:
    points = [(seconds, error) for seconds, error in result["trajectory"] if error is not None]
    if points:
        seconds, errors = zip(*points)
        axis.step([*seconds, result["seconds"]], [*errors, errors[-1]], where="post", color=colour, label=name)


def _label(axis: Any) -> None:
    axis.set(xlabel="wall time in seconds", ylabel="error")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False)
