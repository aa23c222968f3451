"""Who may import whom (CONTRIBUTING.md), and that PyTorch is not needed to use the models."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from d2l_jax.catalog import CASES

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "d2l_jax": {"torch", "torchvision", "tensorflow"},
    "d2l_jax/nn": {"torch", "parity", "os", "time"},
    "d2l_jax/cpu": {"torch", "parity", "os", "time"},
    "d2l_jax/models": {"torch", "parity", "os", "time"},
    "d2l_jax/data": {"torch", "jax", "flax", "tensorflow", "parity"},
    "parity/reference": {"jax", "flax", "optax", "d2l_jax"},
    "parity/compare": {"torch", "jax", "flax", "optax"},
}


def imported(source: str) -> set[str]:
    """The top packages of every import, wherever in the file it stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_keeps_to_its_imports(room):
    path = ROOT / room
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert files
    for file in files:
        wrong = imported(file.read_text()) & FORBIDDEN[room]
        assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


def test_control_an_import_is_seen():
    assert imported("def f():\n    import torch.nn as nn\nfrom os import path") == {"torch", "os"}


WITHOUT_TORCH = """
import sys
class Blocked:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", WITHOUT_TORCH + code], capture_output=True, text=True, cwd=ROOT)


def test_the_models_need_no_torch():
    code = (
        "import d2l_jax.catalog, d2l_jax.data, d2l_jax.cli; print(len(d2l_jax.catalog.CASES), 'torch' in sys.modules)"
    )
    result = python(code)
    assert result.stdout == f"{len(CASES)} False\n" and not result.stderr, result.stderr


def test_control_torch_is_really_missing_there():
    assert "No module named 'torch'" in python("import torch").stderr
