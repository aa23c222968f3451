"""Pictures of training runs: curves, predictions, and two runs side by side."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from d2l_jax.data import Dataset
from d2l_jax.errors import InputError
from d2l_jax.write import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from d2l_jax.runs.texts import Text, Texts

NAMED_WITHIN = 2  # names of more runs would hide the curves of a panel
TRAIN = "#1f5fa8"
TEST = "#d9722b"
WRONG = "#c0262d"
RIGHT = "#222222"
FRAMEWORKS = {"jax": "JAX", "torch": "PyTorch"}
FORMATS = ("png", "pdf", "svg")
PAIRS = (  # of colours, for the training and the test curve of runs that would look alike
    ("#7fb0e6", "#1f5fa8"), ("#f2b48a", "#c2571a"), ("#93cfa5", "#237a43"), ("#c9b3e6", "#6b3fa0"),
    ("#e6a3b8", "#a8264f"), ("#c4c4c4", "#555555"),
)  # fmt: skip
COLUMNS = 6
ROWS = 3
Predictions = tuple[np.ndarray, np.ndarray]  # true values, and what was predicted


@contextmanager
def picture(path: Path, size: tuple[float, float]) -> Iterator["Figure"]:
    """An empty figure, written to `path` when the block ends, as its suffix says; no window, no global state.

    Raises InputError, before anything is drawn, for a suffix that is none of FORMATS.
    """
    kind = path.suffix[1:].lower() or "png"
    if kind not in FORMATS:
        raise InputError(f"{path} is no picture that can be written; a name in {', '.join(FORMATS)} is right")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    yield figure
    with replacing(path) as part:
        figure.savefig(part, format=kind)


def draw_curves(metrics: dict[str, Any], path: Path, sample: Predictions | None = None) -> None:
    """The loss, and beside it what else is measured; for a regression, the predictions of the sample."""
    kinds = _measures([metrics])
    with picture(path, (4.8 * max(2, 1 + len(kinds)), 3.8)) as figure:
        left, *others = figure.subplots(1, max(2, 1 + len(kinds)))
        figure.suptitle(title(metrics))
        _curve_panel(left, [(metrics, "")], "loss")
        for axis, kind in zip(others, kinds):
            _curve_panel(axis, [(metrics, "")], kind)
        if sample is not None and not kinds:
            _scatter(others[0], sample)


def _measures(runs: list[dict[str, Any]]) -> list[str]:
    """Returns what all runs measure beside the loss."""
    kinds = ("accuracy", "perplexity", "class_error", "bbox_mae", "mlm_loss", "nsp_loss")
    return [kind for kind in kinds if all(f"test_{kind}" in run["final"] for run in runs)]


def draw_attention(metrics: dict[str, Any], texts: "Texts", path: Path) -> None:
    """The attention weights of the translations, darker where larger: a row for each module.

    Of one head, a panel for each sentence; of several, a panel for each head, of the first sentence. At the axes stand
    the words.
    """
    columns = max(shown(weights).shape[0] for weights in texts.attention.values())
    rows = len(texts.attention)
    with picture(path, (2.6 * columns, 2.3 * rows + 0.5)) as figure:
        figure.suptitle(f"{title(metrics)}: attention weights")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, (name, weights) in zip(grid, texts.attention.items()):
            axes[0].set_ylabel(f"{name}\nqueries", fontsize=8)
            for number, (axis, panel) in enumerate(zip(axes, shown(weights))):
                heads = weights.shape[1] > 1
                panel = _worded(axis, name, texts.samples[0 if heads else number], panel)
                if heads:
                    axis.set_title(f"head {number + 1}", fontsize=8)
                axis.imshow(panel, cmap="Blues", vmin=0, vmax=1, aspect="auto")


def shown(weights: np.ndarray) -> np.ndarray:
    """Returns, of (sentences, heads, queries, keys), the sentences where there is one head, else the first's heads."""
    return weights[:, 0] if weights.shape[1] == 1 else weights[0]


def _worded(axis: "Axes", name: str, text: "Text", panel: np.ndarray) -> np.ndarray:
    """Words at the axes, and the part of the panel that belongs to them."""
    queries, keys = words_of(name, text)
    panel = panel[: len(queries), : len(keys)]
    axis.set_xticks(range(panel.shape[1]), keys[: panel.shape[1]], fontsize=7, rotation=45)
    axis.set_yticks(range(panel.shape[0]), queries[: panel.shape[0]], fontsize=7)
    return panel


def words_of(name: str, text: "Text") -> tuple[list[str], list[str]]:
    """Returns the words of the queries and of the keys of an attention module, by its name.

    An encoder attends from its sentence to itself. A decoder attends, for each word that it makes, to the words before
    (the Transformer's `attention1`), or to the sentence.
    """
    source, made = ([*words.split(), "<eos>"] for words in (text.given, text.made))
    if name.startswith("encoder"):
        return source, source
    return made, (["<bos>", *made[:-1]] if "attention1" in name else source)


def draw_scatter(metrics: dict[str, Any], sample: Predictions, path: Path) -> None:
    """Predictions over true values."""
    with picture(path, (4.8, 4.8)) as figure:
        figure.suptitle(title(metrics))
        _scatter(figure.subplots(), sample)


def draw_images(metrics: dict[str, Any], data: Dataset, outputs: np.ndarray, path: Path) -> None:
    """The first test images, each titled true label over predicted label; mistakes are red."""
    guesses = outputs.argmax(-1)[: COLUMNS * ROWS]
    images, labels = (array[: len(guesses)] for array in data.test)
    mistakes = int((guesses != labels).sum())
    with picture(path, (1.45 * COLUMNS, 1.8 * ROWS + 0.5)) as figure:
        figure.suptitle(f"{title(metrics)}: true label over predicted label, {mistakes} of {len(labels)} wrong")
        grid = figure.subplots(ROWS, COLUMNS).ravel()
        for axis in grid:
            axis.set_axis_off()
        for axis, image, label, guess in zip(grid, images, labels, guesses):
            axis.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray")
            names = "\n".join(data.classes[i] if i < len(data.classes) else str(i) for i in (label, guess))
            axis.set_title(names, fontsize=9, color=RIGHT if label == guess else WRONG, linespacing=1.1)


def compare_curves(folders: Sequence[Path], path: Path) -> None:
    """The loss, and accuracy or perplexity, curves of several runs in one picture; those of PyTorch are dashed.

    Runs of one framework have colours of their own.

    Raises InputError where a folder holds no run.
    """
    runs = [metrics_of(folder) for folder in folders]
    names = names_of(runs, folders)
    kinds = ["loss", *_measures(runs)]
    with picture(path, (4.8 * len(kinds), 4.0) if len(kinds) > 1 else (6.0, 4.0)) as figure:
        axes = np.atleast_1d(figure.subplots(1, len(kinds)))
        for axis, kind in zip(axes, kinds):
            _curve_panel(axis, list(zip(runs, names)), kind)
        if len(runs) > NAMED_WITHIN:
            figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)


def _curve_panel(axis: "Axes", runs: list[tuple[dict[str, Any], str]], kind: str) -> None:
    """Training and test curve of each run over the epochs; a dashed one shows on top of a solid one."""
    from matplotlib.ticker import MaxNLocator

    alike = len({metrics["framework"] for metrics, _ in runs}) < len(runs)
    for number, (metrics, name) in enumerate(runs):
        colors = PAIRS[number % len(PAIRS)] if alike else (TRAIN, TEST)
        dashed = metrics["framework"] == "torch" and len(runs) > 1
        look: dict[str, Any] = {"linewidth": 2.0}
        if dashed:
            look = {"linestyle": (0, (4, 3)), "linewidth": 1.4, "zorder": 3}
        elif len(runs) > 1 and not alike:
            look = {"linewidth": 3.5, "alpha": 0.45}
        epochs = [record["epoch"] for record in metrics["records"]]
        for split, color in zip(("train", "test"), colors, strict=True):
            values = [record[f"{split}_{kind}"] for record in metrics["records"]]
            label = f"{name} {split}".strip()
            axis.plot(epochs, values, color=color, label=label, marker="o" if len(epochs) == 1 else None, **look)
    values = np.concatenate([line.get_ydata() for line in axis.lines])
    if kind != "accuracy" and values.min() > 0 and values.max() > 50 * values.min():
        axis.set_yscale("log")
    axis.set(xlabel="epoch", ylabel=kind.replace("_", " "))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    _tidy(axis)
    if len(runs) <= NAMED_WITHIN:
        axis.legend(frameon=False)


def _scatter(axis: "Axes", sample: Predictions) -> None:
    """Predictions over true values, with the ideal line y = x."""
    y, y_hat = map(np.ravel, sample)
    ends = [min(y.min(), y_hat.min()), max(y.max(), y_hat.max())]
    axis.plot(ends, ends, "-", color=TEST, linewidth=1.2, label="ideal: y = x")
    axis.plot(y, y_hat, "o", color=TRAIN, markersize=4, alpha=0.6, label=f"{len(y)} test examples")
    axis.set(xlabel="true value", ylabel="predicted value")
    _tidy(axis)
    axis.legend(frameon=False)


def _tidy(axis: "Axes") -> None:
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def title(metrics: dict[str, Any]) -> str:
    """The model, its data and the framework."""
    return f"{metrics['model']} on {metrics['data']['name']} ({FRAMEWORKS[metrics['framework']]})"


def names_of(runs: list[dict[str, Any]], folders: Sequence[Path]) -> list[str]:
    """Returns what tells the runs apart: the framework, or the model, or both, or the folder as far as it differs."""
    frameworks = [FRAMEWORKS[run["framework"]] for run in runs]
    models = [run["model"] for run in runs]
    both = [f"{model} {framework}" for model, framework in zip(models, frameworks, strict=True)]
    parts = [folder.absolute().parts for folder in folders]
    ends = (["/".join(path[-length:]) for path in parts] for length in range(1, max(map(len, parts)) + 1))
    for names in (frameworks, models, both, *ends):
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({number})" for number, name in enumerate(both, 1)]  # one folder, named twice


def metrics_of(folder: Path) -> dict[str, Any]:
    """Returns the content of a run's `metrics.json`; InputError where there is none, or none with records."""
    try:
        metrics = json.loads((folder / "metrics.json").read_text())
        return metrics if metrics["records"] else {}["records"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no training run: its metrics.json is missing or garbled") from error
