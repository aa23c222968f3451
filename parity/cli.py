"""The command `parity`: check, bench and convert. The only place here that prints and reads arguments."""

import itertools
import json as jsonlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import tyro

from d2l_jax.command_line import Commands, ending_in_one_line
from d2l_jax.write import check_writable, open_output
from parity.bench.options import BenchOptions
from parity.check_options import CheckOptions, File
from parity.environment import share_gpu
from parity.mutants.options import MutantOptions
from parity.offline_commands import compare, record
from parity.output import chosen, console_beside, status_of, write, write_repros

DESCRIPTION = "Proof that Flax and PyTorch models are the same. `parity --version` says which version this is."

app = Commands()


@app.command
def check(options: Annotated[CheckOptions, tyro.conf.arg(name="")]) -> int:
    """Compare Flax models with their PyTorch twins, from the same weights, tensor by tensor.

    In float64 first (same mathematics?), then in float32 (as precise as PyTorch?): outputs, loss,
    gradients, buffers, the updates and the optimiser's state, each step from PyTorch's state; every layer
    on its own, forward and backward; then all steps in a row.

    Try `parity check lenet resnet18`, `parity check --all --json runs/parity.json`,
    `parity check my_models:pair` for a pair of your own, or `parity check lenet --devices 8`.
    Exit status: 0 all passed, 1 something failed, 2 the call was wrong.

    Args:
        options: What is checked, and how.
    """
    from parity.environment import circumstances, environment, require_torch
    from parity.progress import Watch
    from parity.report import html as page
    from parity.report import junit as junit_xml
    from parity.report import markdown as markdown_table
    from parity.report import show, to_json

    options.validate()
    some = options.case_names or options.all or not options.own_pairs
    cases = chosen(options.case_names, options.all) if some else []
    require_torch()
    settings = environment(options.device, tf32=options.tf32)
    console = console_beside(options.json, options.markdown, options.html, options.junit)
    order = {name: number for number, name in enumerate([*(case.name for case in cases), *options.own_pairs])}
    watch = Watch(len(order), console)
    of_cases = options.results(cases, watch.hear) if cases else ()
    ended = watch.over(itertools.chain(of_cases, options.own_results(watch.hear)))
    results = sorted(ended, key=lambda result: order.get(result.name, len(order)))
    show(console, results, settings)
    documented = settings | circumstances()
    write(options.json, lambda: to_json(results, documented), console)
    write(options.markdown, lambda: markdown_table(results), console)
    write(options.html, lambda: page(results, documented), console)
    write(options.junit, lambda: junit_xml(results), console)
    write_repros(options.repro, results, console)
    return status_of(results)


@app.command
def bench(options: Annotated[BenchOptions, tyro.conf.arg(name="")]) -> int:
    """Time jitted JAX, PyTorch and torch.compile; a ratio above 1 says that JAX is faster.

    A training step and an evaluation step of each model. Losses are compared first: there is no ratio where
    they disagree, or where other programs used the machine.
    Try `parity bench lenet resnet18 mlp --json runs/bench.json`, `parity bench --epoch softmax-scratch lenet`,
    `parity bench --run mlp --epochs 3`, `parity bench --scale`, `parity bench --check resnet18`, or
    `parity bench --check --growth --picture runs/growth.svg`.
    Exit status: 0 all was timed, 1 losses disagreed or a case failed, 2 the call was wrong.

    Args:
        options: What is timed, and how.
    """
    from parity.environment import require_torch

    check_writable({"--json": options.json, "--markdown": options.markdown, "--picture": options.picture})
    require_torch()
    from parity.bench.command import bench as run
    from parity.report import print_whole

    cases = () if options.mode == "growth" else chosen(options.chosen_names, options.all, timed=not options.check)
    console = console_beside(options.json, options.markdown)
    with console.status("starting") as status:
        report = run(options, cases, lambda name, stage: status.update(f"{name}: {stage}"))
    settings = " ".join(f"{key}={value}" for key, value in report.settings.items())
    console.print(settings, style="dim", soft_wrap=True)
    print_whole(console, report.table)
    for line in report.lines:
        console.print(line, highlight=False, soft_wrap=True)
    write(options.json, lambda: jsonlib.dumps(report.document, indent=1), console)
    write(options.markdown, report.markdown, console)
    if options.picture:
        report.draw(options.picture)
    return int(report.failed)


@app.command
def convert(
    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")],
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")],
    /,
    model: Annotated[str, tyro.conf.arg(metavar="NAME")] = "",
    entry: Annotated[str, tyro.conf.arg(metavar="NAME")] = "",
) -> int:
    """Turn a PyTorch checkpoint into a Flax checkpoint, or the other way round.

    A file, an index or a folder of shards is PyTorch's; a run's folder is read, and a new folder written, as Flax's
    (Orbax). Prefixes of all names (module., _orig_mod.) and the wrappings of trainers are taken off. No code of a
    file is run.
    Try `parity convert lenet.pt runs/lenet-flax --model lenet`, and back again
    `parity convert runs/lenet-flax lenet.safetensors --model lenet`.

    Args:
        source: A weight file, a checkpoint, or a run's folder.
        target: A weight file, or a new folder.
        model: The case whose weights these are; `d2l-jax list` shows them. A run's folder knows it.
        entry: Name under which the weights stand in the source, where several would fit.
    """
    from parity.environment import require_torch

    require_torch()
    from parity.weights.convert import convert as run

    run(source, target, model, entry)
    print(f"written   {target}")
    return 0


app.command(record)
app.command(compare)


@app.command
def selftest(
    jobs: int = 1,
    json: File = None,
    markdown: File = None,
) -> int:
    """Plant the bugs that people make in correct models: does the check catch, place and name them?

    Beside it the rules by which other tools compare models, on the same numbers, and what each says of correct models.
    Exit status: 0 all bugs are caught, 95 % placed, 80 % named and no correct model is accused; 1 not so;
    2 the call was wrong.

    Args:
        jobs: Processes that work side by side.
        json: Write one record for each bug and each correct model here; - is standard output.
        markdown: Write the table here.
    """
    from parity.environment import environment, require_torch

    check_writable({"--json": json, "--markdown": markdown})
    require_torch()
    from parity.progress import with_progress
    from parity.report import print_whole
    from parity.selftest import report
    from parity.selftest.run import selftest as run

    console = console_beside(json, markdown)
    score = run(jobs, lambda results, total: with_progress(iter(results), total, console))
    print_whole(console, report.table(score))
    for line in report.shortcomings(score):
        console.print(line, style="red", highlight=False, markup=False, soft_wrap=True)
    write(json, lambda: report.to_json(score, environment("cpu")), console)
    write(markdown, lambda: report.markdown(score), console)
    return int(not score.good)


@app.command
def mutants(options: Annotated[MutantOptions, tyro.conf.arg(name="")]) -> int:
    """Change one operator, constant, comparison, flag or function name of Flax's side at random: does a check notice?

    For each mutant, the quickest cases that reach the changed place run on Flax's side, in float64, and are compared
    with PyTorch's run of the unchanged case; what passes goes through their whole checks. Listed are the survivors with
    their lines, and places that no case reaches. No file is changed. The first run records PyTorch's side of every
    case and the places that Flax's reaches; the user's cache holds both, some gigabytes, until the source changes.

    Try `parity mutants --number 20`, `parity mutants d2l_jax/nn d2l_jax/optim/adam.py --number 50 --jobs 2`, or
    `parity mutants d2l_jax/models/mlp.py --cases mlp mlp-scratch --json runs/mutants.json`; then, with more cases,
    `parity mutants --again runs/mutants.json`.
    Exit status: 0 all were noticed, are known to be equivalent, or are on a path that no case takes; 1 one survived;
    2 the call was wrong.

    Args:
        options: What is changed, and by which cases it is checked.
    """
    from parity.environment import environment, require_torch

    check_writable({"--json": options.json})
    require_torch()
    from parity.mutants import report
    from parity.mutants.run import mutants as run

    console = console_beside(options.json)

    def tell(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    score = run(options, tell)
    for line in report.lines(score):
        tell(line)
    write(options.json, lambda: report.to_json(score, environment("cpu")), console)
    return int(not score.good)


def main(args: Sequence[str] | None = None) -> None:
    """Runs one command; bad input is one line and exit status 2."""
    share_gpu()
    open_output()
    if list(sys.argv[1:] if args is None else args) == ["--version"]:
        print(f"parity {version('d2l-jax')}")
        sys.exit(0)
    with ending_in_one_line():
        sys.exit(app.run("parity", DESCRIPTION, args))
