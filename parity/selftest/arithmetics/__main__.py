"""`python -m parity.selftest.arithmetics [NAME ...]`: is every verdict the same, however the machine rounds?

NAME is a case, a correct pair or a planted bug of the selftest, or "cases", "pairs" or "bugs"; without any, it is all
three, for hours.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from d2l_jax.errors import InputError
from d2l_jax.write import check_writable, replacing
from parity.environment import environment, require_torch
from parity.selftest.arithmetics.run import Outcome, outcomes
from parity.selftest.arithmetics.settings import arithmetics
from parity.selftest.arithmetics.tasks import tasks


def main(args: Sequence[str] | None = None) -> int:
    """Returns 0 where no verdict flips, 1 where one does, 2 where the call was wrong."""
    parser = argparse.ArgumentParser(prog="python -m parity.selftest.arithmetics", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--only", nargs="+", default=(), metavar="ARITHMETIC", help="beside the machine's own, these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every verdict here")
    options = parser.parse_args(args)
    try:
        check_writable({"--json": options.json})
        require_torch()
        return int(_flipped(options.names, tuple(options.only), options.json))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _flipped(names: list[str], only: tuple[str, ...], file: Path | None) -> bool:
    """Runs all, and tells whether a verdict flips; the file is written anew after each arithmetic."""
    import torch

    chosen = arithmetics(only, torch.backends.cpu.get_cpu_capability())
    done: list[Outcome] = []
    for outcome in outcomes(tasks(names), chosen, lambda line: print(line, flush=True)):
        done.append(outcome)
        if file:
            with replacing(file) as part:
                document = {"environment": environment("cpu"), "outcomes": [asdict(each) for each in done]}
                part.write_text(json.dumps(document, indent=1), encoding="utf-8")
    for outcome in done:
        line = f"{outcome.arithmetic.name}: {len(outcome.verdicts)} verdicts, {len(outcome.flips)} flip"
        if nearest := outcome.nearest:
            line += f"; the largest margin is {nearest.margin:.2f} ({nearest.task}: {nearest.nearest})"
        print(line, *outcome.flips, sep="\n  ")
    return any(outcome.flips for outcome in done)


if __name__ == "__main__":
    sys.exit(main())
