"""What the command `parity` loads: JAX and PyTorch only where it computes."""

import subprocess
import sys

import pytest

HEAVY = {"jax", "flax", "optax", "orbax", "torch", "numpy", "matplotlib", "sklearn", "rich"}
AT_EXIT = "import atexit, sys; atexit.register(lambda: print(*sys.modules))\n"
COMMANDS = ("", "check", "bench", "convert", "record", "compare", "selftest", "mutants")


def loaded(code: str) -> set[str]:
    """Returns the heavy packages that a Python process has loaded at its end."""
    ended = subprocess.run([sys.executable, "-c", AT_EXIT + code], capture_output=True, text=True)
    assert "Traceback" not in ended.stderr
    return HEAVY & set(ended.stdout.splitlines()[-1].split())


HELP = f"""
from contextlib import suppress
from parity.cli import main

for command in {COMMANDS}:
    with suppress(SystemExit):
        main([*command.split(), "--help"])
"""


def test_help_loads_nothing_that_computes():
    """A single process calls the help of every command: none may load what computes."""
    assert loaded(HELP) == set()


def test_the_package_itself_loads_nothing_that_computes():
    assert loaded("import parity; dir(parity)") == set()


@pytest.mark.slow
def test_control_what_computes_is_seen_where_it_is_used():
    assert loaded("import parity; parity.check") >= {"jax", "flax", "torch", "numpy"}
    assert loaded("from parity.cli import main; main(['check', 'lennet'])") >= {"jax", "flax"}
