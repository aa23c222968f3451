"""What a command loads: JAX and Flax only where it computes. The package's names come with their first use."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import d2l_jax

HEAVY = {"jax", "flax", "optax", "orbax", "torch", "matplotlib", "sklearn"}
AT_EXIT = "import atexit, sys; atexit.register(lambda: print(*sys.modules))\n"


def loaded(code: str) -> set[str]:
    """Returns the heavy packages that a Python process has loaded at its end."""
    ended = subprocess.run([sys.executable, "-c", AT_EXIT + code], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    return HEAVY & set(ended.stdout.splitlines()[-1].split())


LIGHT = ["--help", "list", "list --json -", "train --help", "search --help", "compare --help", "data prepare --help"]
CALLS = f"""
from contextlib import suppress
from d2l_jax.cli import main

for args in {LIGHT}:
    with suppress(SystemExit):
        main(args.split())
"""


def test_help_and_list_load_nothing_that_computes():
    """A single process calls every help and every list: none may load what computes."""
    assert loaded(CALLS) == set()


@pytest.mark.slow
def test_both_sources_are_shown_without_loading_pytorch():
    assert "torch" not in loaded("from d2l_jax.cli import main; main(['show', 'lenet', '--twin'])")


def test_the_package_itself_loads_nothing_that_computes():
    assert loaded("import d2l_jax; d2l_jax.__version__; dir(d2l_jax)") == set()


BEGUN = "from jax._src.xla_bridge import backends_are_initialized; print(backends_are_initialized())"


@pytest.mark.slow
def test_loading_all_models_begins_no_computation():
    """JAX counts its devices, and joins other processes, before it begins."""

    def said(code: str) -> str:
        return subprocess.run([sys.executable, "-c", f"{code}; {BEGUN}"], capture_output=True, text=True).stdout

    assert said("import d2l_jax.catalog, d2l_jax.runs.training") == "False\n"
    assert said("import jax.numpy; jax.numpy.zeros(1)") == "True\n"


@pytest.mark.slow
def test_control_jax_is_seen_where_it_is_used():
    assert loaded("from d2l_jax.cli import main; main(['show', 'lenet'])") >= {"jax", "flax"}
    assert loaded("from d2l_jax import TrainState") >= {"jax", "flax"}


NAMES = [name for names in d2l_jax.EXPORTS.values() for name in names]


def test_type_checkers_see_the_same_names():
    source = ast.parse(Path(d2l_jax.__file__).read_text())
    imports = [node for node in ast.walk(source) if isinstance(node, ast.ImportFrom) and node.col_offset]
    seen = [(node.module, name.name, name.asname) for node in imports for name in node.names]
    assert seen == [(f"d2l_jax.{place}", name, name) for place, names in d2l_jax.EXPORTS.items() for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("first", ["import d2l_jax.functional", "import d2l_jax.catalog", "from d2l_jax import data"])
def test_every_name_is_there_whatever_is_loaded_first(first: str):
    names = f"from d2l_jax import {', '.join(NAMES)}"
    rooms = "import d2l_jax; d2l_jax.losses.mse, d2l_jax.models.LeNet, d2l_jax.data.load"
    function = "assert functional.__name__ == 'functional' and d2l_jax.functional is functional"
    loaded("\n".join([first, names, rooms, function]))


def test_names_that_are_nowhere_are_refused():
    assert not hasattr(d2l_jax, "nothing") and not hasattr(d2l_jax, "__main__")
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'd2l_jax'"):
        from d2l_jax import nothing  # type: ignore  # noqa: F401
