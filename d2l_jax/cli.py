"""The command `d2l-jax`: list and show the models, train, search and ask them, compare runs, prepare data."""

import json
import logging
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from d2l_jax.command_line import Commands, ending_in_one_line
from d2l_jax.errors import InputError
from d2l_jax.runs.options import Options
from d2l_jax.runs.search_options import SearchOptions
from d2l_jax.write import open_output

if TYPE_CHECKING:
    from rich.table import Table

UNLIMITED = 10_000  # columns
DESCRIPTION = "The models of Dive into Deep Learning in JAX. `d2l-jax --version` says which version this is."

app = Commands()
data_app = Commands()
app.command(data_app, name="data", help="Data sets: data prepare makes a tensorflow-datasets folder.")

JsonFile = Annotated[str | None, arg(name="json", metavar="FILE", help_behavior_hint="(default: none)")]


@app.command(name="list")
def list_models(json_file: JsonFile = None) -> None:
    """List every model: section, name, parameters, data set.

    Args:
        json_file: Write the table as JSON into this file; - is the standard output.
    """
    from d2l_jax.runs.overview import overview, overview_table

    rows = overview()
    if json_file is None:
        _print(overview_table(rows))
    else:
        _write({"cases": rows}, json_file)


@app.command
def show(name: Annotated[Positional[str], arg(metavar="NAME")], twin: bool = False, json_file: JsonFile = None) -> None:
    """Show one model: its layers in order, with kind, output shape and parameters, and how it is trained.

    d2l-jax show lenet\n
    d2l-jax show lenet --twin

    Args:
        name: The model, as `d2l-jax list` calls it.
        twin: Show its source beside that of its PyTorch twin instead.
        json_file: Write the layers as JSON into this file; - is the standard output.
    """
    from d2l_jax.catalog import get

    case = get(name)
    if twin and json_file is not None:
        raise InputError("--twin shows sources, which --json does not hold; one of them is right")
    if twin:
        from d2l_jax.runs.places import places
        from d2l_jax.runs.twin_sources import side_by_side, twin_lines

        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print("\n".join(side_by_side(twin_lines(places(case)), width)))
        return
    from d2l_jax.runs.details import details, details_tables

    rows = details(case)
    if json_file is not None:
        _write(rows, json_file)
        return
    for number, table in enumerate(details_tables(rows)):
        if number:
            print()
        _print(table)


@app.command
def train(options: Annotated[Options, arg(name="")], json_file: JsonFile = None) -> None:
    """Train a model; metrics, pictures and checkpoints go into one folder.

    d2l-jax train lenet\n
    d2l-jax train mlp --data digits --epochs 3 --lr 0.5\n
    d2l-jax train mlp --data ~/fashion-mnist --out runs/mlp-1\n
    d2l-jax train mlp --data ~/fashion-mnist --out runs/mlp-1 --epochs 20 --resume\n
    d2l-jax train mlp --framework torch --out runs/mlp-torch\n
    d2l-jax train resnet18-multi-gpu --processes 2

    Args:
        options: What to train, and how.
        json_file: Write a copy of metrics.json into this file; - is the standard output, and the rest goes to stderr.
    """
    from d2l_jax.runs.launch import launch
    from d2l_jax.runs.together import together

    to_stderr = json_file == "-"
    if processes := together(options):
        metrics = launch(options, processes, to_stderr)
    else:
        from d2l_jax.runs.virtual import set_virtual_devices

        set_virtual_devices(options.devices)
        from d2l_jax.runs.progress import Terminal
        from d2l_jax.runs.training import trained

        with Terminal(to_stderr) as terminal:
            metrics = trained(options, terminal)
    if json_file is not None and metrics is not None:
        _write(metrics, json_file)


@app.command
def search(options: Annotated[SearchOptions, arg(name="")], json_file: JsonFile = None) -> None:
    """Search hyperparameters: trials in parallel processes, a journal that resumes, the trajectory as a picture.

    d2l-jax search lenet --data digits --trials 10 --workers 2\n
    d2l-jax search lenet --scheduler asha --first lr=0.1 batch_size=128 --minutes 12 --workers 2\n
    d2l-jax search mlp --space "lr=loguniform(0.01,1)" "num_hiddens=choice(64,256)" --out runs/mlp-width\n
    d2l-jax search mlp --out runs/mlp-width --space ... --trials 40 --resume

    Args:
        options: What to search, and how.
        json_file: Write a copy of study.json into this file; - is the standard output, and the rest goes to stderr.
    """
    from d2l_jax.search.command import search as searched

    result = searched(options, json_file == "-")
    if json_file is not None:
        _write(result, json_file)


@app.command
def compare(
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN ...")],
    out: Annotated[Path, arg(metavar="FILE")] = Path("compare.png"),
) -> None:
    """Draw the curves of several runs, or studies, into one picture; those of PyTorch are dashed.

    Example: d2l-jax compare runs/mlp runs/mlp-torch --out mlp.pdf

    Args:
        runs: The runs' folders, or those of studies by `d2l-jax search`.
        out: The picture, PNG, PDF or SVG by its suffix.
    """
    from d2l_jax.search.pictures import compare as draw

    if not runs:
        raise InputError("compare needs the folder of a run")
    print("\n".join([*draw(runs, out), f"written   {out}"]))


@app.command
def predict(
    run: Annotated[Positional[Path], arg(metavar="RUN")],
    texts: Annotated[Positional[tuple[str, ...]], arg(metavar="TEXT ...")],
) -> None:
    """Print what a trained model answers to texts: a continuation, a translation, the nearest words, a class, a rating.

    d2l-jax predict runs/gru-lm "it has" "time traveller"\n
    d2l-jax predict runs/transformer "go ." "i'm home ."\n
    d2l-jax predict runs/word2vec-ptb chip "man woman king"\n
    d2l-jax predict runs/sentiment-cnn "this movie is so great"\n
    d2l-jax predict runs/snli-attention "he is good . <sep> he is bad ."\n
    d2l-jax predict runs/mf "20 30"

    Args:
        run: The run's folder, or one of its checkpoints.
        texts: The texts, each in quotes.
    """
    from d2l_jax.runs.predict import predict as answers

    print("\n".join(answers(run, texts)))


@data_app.command
def prepare(
    source: Annotated[Positional[Path], arg(metavar="SOURCE")],
    target: Annotated[Positional[Path], arg(metavar="TARGET")],
    name: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None,
) -> None:
    """Make a tensorflow-datasets folder from idx files, without TensorFlow.

    Example: d2l-jax data prepare ~/mnist ~/tensorflow_datasets --name mnist

    Args:
        source: A folder of idx files.
        target: The data_dir of tensorflow-datasets.
        name: The data set's name; else what the files or the folder tell.
    """
    from rich.progress import Progress

    from d2l_jax.data import prepare as prepare_data

    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task("examples", total=None)
        path = prepare_data(source, target, name, lambda done, total: bar.update(task, completed=done, total=total))
    print(f"written   {path}")


def _print(table: "Table") -> None:
    """Prints each row on one line, however narrow the terminal: rich would cut numbers and names to fit."""
    from rich.console import Console

    Console(highlight=False, width=UNLIMITED).print(table)


def _write(content: Any, json_file: str) -> None:
    from d2l_jax.write import write_json

    if json_file == "-":
        print(json.dumps(content, indent=1))
    else:
        write_json(Path(json_file), content)


def main(args: Sequence[str] | None = None) -> None:
    """Runs one command; status 2 if the call was wrong."""
    if list(sys.argv[1:] if args is None else args) == ["--version"]:
        print(f"d2l-jax {version('d2l-jax')}")
        return
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    open_output()
    with ending_in_one_line("interrupted; what was saved is whole, go on with --resume"):
        app.run("d2l-jax", DESCRIPTION, args)
