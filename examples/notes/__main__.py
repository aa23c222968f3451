"""Lists the study notes' programs, runs some, or makes a page of their answers: `python examples/notes --help`."""

import argparse
import contextlib
import io
import json
import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from d2l_jax.errors import InputError, one_of

HERE = Path(__file__).parent
SIDES = ("JAX", "PyTorch")
CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)
HEADING = re.compile(r"^# (?!%%)\S+ (.*)$", re.MULTILINE)
INTRODUCTION = """# The study notes, answered

Each row is a program of its own, in cells: it runs as a script and opens as a page. `python examples/notes` lists them,
`python examples/notes A7 3.6.1` runs some, `--all --answers FILE` all, and `--markdown FILE` writes this page. The
columns s are processor seconds of all threads, compilation included, with one thread for PyTorch. A2 to A4, A8, A14,
A15 and 3.5 to 3.7 take Fashion-MNIST, A5 MNIST, A16 the house prices; where they are missing, an embedded data set,
and the first line of the program says so. Wall times in the answers are rough where the machine has other work, too.

Networks that the notes name without code are models of `d2l_jax`: `d2l-jax show alexnet`, `vgg11`, `nin`, `googlenet`,
`bn-lenet`, `resnet18`, `densenet`, `mobilenet`, `mobilenet-v2`, and of R-CNN `fast-rcnn-head`, whose pooling is
`d2l_jax.algorithms.roi_pool`.

"""
LONG = ("A3", "A4", "A5", "A14")  # more than a minute each


class Program(NamedTuple):
    """A program of the notes: its number there, its question, and its file."""

    name: str
    question: str
    path: Path


class Answer(NamedTuple):
    """The answer of a program: its lines by who says them ("notes", "JAX", "PyTorch"), and each side's seconds."""

    lines: dict[str, list[str]]
    seconds: dict[str, float]


def programs() -> dict[str, Program]:
    """Returns all programs by name, in the order of the notes."""
    everything = {}
    for path in sorted(HERE.glob("[ae]*.py")):
        first, *more = path.stem.split("_")
        name = f"A{int(first[1:])}" if first[0] == "a" else ".".join((first[2:], *more[:2]))
        everything[name] = Program(name, HEADING.findall(path.read_text())[0], path)
    return everything


def chosen(names: Sequence[str]) -> list[Program]:
    """Returns the programs of these names. Raises InputError, with near ones, for a name that is none."""
    known = {name.lower(): program for name, program in programs().items()}
    for name in names:
        if name.lower() not in known:
            raise one_of("program of the notes", name, list(known))
    return [known[name.lower()] for name in names]


def cells(source: str) -> Iterator[tuple[str, str]]:
    """Yields (title, code) of each cell; empty lines before the code leave its line numbers as they are."""
    marks = list(CELL.finditer(source))
    for mark, end in zip(marks, [*(each.start() for each in marks[1:]), len(source)], strict=True):
        yield mark[1].strip(), "\n" * source.count("\n", 0, mark.end()) + source[mark.end() : end]


def run(program: Program, pictures: Path | None = None) -> dict[str, float]:
    """Runs the cells of a program and returns the processor seconds of those that are titled JAX and PyTorch.

    pictures: folder for what the program draws; None drops it
    """
    seconds = defaultdict[str, float](float)
    names = {"__name__": "__main__", "__file__": str(program.path)}
    with drawing(program, pictures):
        for title, code in cells(program.path.read_text()):
            start = time.process_time()  # of all threads: what else the machine does changes it little
            exec(compile(code, program.path, "exec"), names)
            seconds[title] += time.process_time() - start
    return {side: round(seconds[side], 2) for side in SIDES if side in seconds}


@contextlib.contextmanager
def drawing(program: Program, folder: Path | None) -> Iterator[None]:
    """Draws without a window: `plt.show()` writes the figures into `folder`."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    def save(*_, **__) -> None:
        for number in plt.get_fignums() if folder else ():
            folder.mkdir(parents=True, exist_ok=True)
            plt.figure(number).savefig(folder / f"{program.path.stem}-{number}.png", dpi=110)

    show = plt.show
    plt.show = save
    try:
        yield
    finally:
        plt.show = show
        plt.close("all")


def answer(program: Program, pictures: Path | None = None) -> Answer:
    """Runs a program, prints what it prints, and returns what it answers."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        seconds = run(program, pictures)
    print(printed.getvalue(), end="", flush=True)
    lines = defaultdict(list)
    for line in printed.getvalue().splitlines():
        who, _, text = line.partition("  ")
        lines[who].append(_without_folder(text.strip()))
    return Answer({who: lines[who] for who in ("data", "notes", *SIDES) if who in lines}, seconds)


def _without_folder(text: str) -> str:
    """Returns a line about data without the folder that it lies in, which is this machine's."""
    what, _, place = text.rpartition(" in ")
    return what if Path(place).is_absolute() else text


def conditions() -> str:
    """Returns the day, and what ran."""
    import jax

    versions = (f"{name} {version(name)}" for name in ("jax", "torch"))
    device = jax.devices()[0]
    where = f"CPU of {os.cpu_count()} cores" if device.platform == "cpu" else device.device_kind
    return ", ".join([f"{date.today()}", *versions, where])


def page(answers: Mapping[str, dict]) -> str:
    """Returns the answers as a page in Markdown: a row for each program."""
    head = ("#", "Question", "Notes", "JAX", "s", "PyTorch", "s")
    rows = [head, ("--",) * len(head)]
    for name, program in programs().items():
        if name in answers:
            lines = answers[name]["lines"]
            seconds = answers[name]["seconds"]
            said = {who: "<br>".join(lines.get(who, [])).replace("|", "\\|") for who in ("notes", *SIDES)}
            sides = [cell for side in SIDES for cell in (said[side], seconds.get(side, ""))]
            rows.append((f"[{name}](../examples/notes/{program.path.name})", program.question, said["notes"], *sides))
    runs = "; ".join(sorted({answer["run"] for answer in answers.values()}))
    return f"{INTRODUCTION}Run: {runs}.\n\n" + "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows) + "\n"


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns what the command line says."""
    parser = argparse.ArgumentParser(prog="python examples/notes", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="A7, 3.6.1, ...; none lists them")
    parser.add_argument("--all", action="store_true", help="every program")
    parser.add_argument("--skip-long", action="store_true", help=f"with --all, leave out {', '.join(LONG)}")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", default=Path("runs/notes"), help="(runs/notes)")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="JSON to add the answers to")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page of all --answers; - prints it")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command; status 2 if the call was wrong."""
    options = options_of(arguments)
    names = [name for name in programs() if not (options.skip_long and name in LONG)] if options.all else options.names
    try:
        selected = chosen(names)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    stored = options.answers is not None and options.answers.exists()
    answers = json.loads(options.answers.read_text()) if stored else {}
    for program in selected:
        print(f"{program.name}: {program.question}")
        answers[program.name] = answer(program, options.pictures)._asdict() | {"run": conditions()}
        if options.answers is not None:
            options.answers.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")
    if options.markdown is not None:
        print(page(answers)) if str(options.markdown) == "-" else options.markdown.write_text(page(answers))
    elif not selected:
        print("\n".join(f"{program.name:<6} {program.question}" for program in programs().values()))


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # `python examples/notes | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
