"""PyTorch's side imports nothing that a mutant may change."""

import ast
from pathlib import Path

import pytest

from parity.mutants.mutant import FURTHER, ROOMS

ROOT = Path(__file__).parent.parent.parent
PARITY = ROOT / "parity"
PYTORCH = [
    *sorted((PARITY / "reference").glob("*.py")),
    *sorted((PARITY / "sides").glob("torch*.py")),
    *sorted((PARITY / "twin").glob("*torch*.py")),
    *(PARITY / "sides" / "disturb.py", PARITY / "twin" / "random_weights.py"),
]
CHANGED = tuple(f"d2l_jax.{room.removesuffix('.py')}" for room in (*ROOMS, *FURTHER))


def imported(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
    return {name for name in names if name.startswith(CHANGED)}


@pytest.mark.parametrize("path", PYTORCH, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_file_imports_what_is_changed(path):
    assert imported(path.read_text()) == set()


def test_control_such_an_import_is_seen():
    assert imported("def f():\n    from d2l_jax import losses") == {"d2l_jax.losses"}
    assert imported("from d2l_jax.nn.pool import MaxPool2d") == {"d2l_jax.nn.pool.MaxPool2d"}
