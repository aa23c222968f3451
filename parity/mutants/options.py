"""The options of `parity mutants`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

File = Annotated[Path | None, arg(metavar="FILE")]


@dataclass(frozen=True)
class MutantOptions:
    """A run as the command is asked for it."""

    paths: Annotated[Positional[tuple[Path, ...]], arg(metavar="PATH ...")] = ()
    """Files or folders of Flax's side to change; without any, d2l_jax/models, nn, losses, optim, algorithms and
    generate."""
    number: int = 300
    """Mutants; all places, where there are fewer."""
    seed: int = 0
    """Of the draw: the same seed gives the same mutants, on every machine."""
    again: File = None
    """Try the survivors of this file, written by --json, once more, in place of a draw."""
    cases: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = ()
    """Check these cases alone; without any, all."""
    most: int = 3
    """Cases to check for one mutant, at most: the quickest of those that reach the changed place."""
    jobs: int = 1
    """Processes that work side by side; one takes about 1.5 GB."""
    json: File = None
    """Write every mutant with its verdict here; - is standard output."""
