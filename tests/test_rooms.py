"""Who may import whom (CONTRIBUTING.md), and that PyTorch is not needed to use the models."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from d2l_jax.catalog import CASES

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "d2l_jax": {"torch", "torchvision", "tensorflow", "parity"},
    "d2l_jax/nn": {"os", "time"},
    "d2l_jax/cpu": {"os", "time"},
    "d2l_jax/models": {"os", "time"},
    "d2l_jax/algorithms": {"os", "time"},
    "d2l_jax/data": {"jax", "flax"},
    "parity/reference": {"jax", "flax", "optax", "d2l_jax"},
    "parity/compare": {"torch", "jax", "flax", "optax"},
}
# From the foundations up: a room imports from those before it.
ORDER = {
    "d2l_jax": """errors patience abstract write command_line weights functional metrics cpu init nn losses optim
                  algorithms augment data turns train models generate d2l_jax case cases catalog runs search cli
                  __main__""",
    "parity": """environment listening processes arrays reference weights models match twin sides compare report result
                 layers blame start proof training_step pair_notes own_pair user_module named_pair plugin offline bench
                 selftest mutants check_options output progress offline_commands parity cli __main__""",
}


def imports(source: str) -> set[str]:
    """Every import as a full dotted name, wherever in the file it stands, but those for types alone."""
    tree = ast.parse(source)
    for_types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    skipped = {id(inner) for node in for_types for inner in ast.walk(node)}
    names = set()
    for node in (node for node in ast.walk(tree) if id(node) not in skipped):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{name.name}" for name in node.names}
    return names


def room_of(name: str, rooms: list[str]) -> str:
    """The room of a dotted name of a package; what the package itself exports is the package's own."""
    package, _, rest = name.partition(".")
    return rest.partition(".")[0] if rest.partition(".")[0] in rooms else package


def upwards(package: str, file: str, source: str) -> list[str]:
    """The imports of a file that go to a room behind its own."""
    rooms = ORDER[package].split()
    name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    height = rooms.index(room_of(name, rooms))
    inside = [each for each in imports(source) if each.partition(".")[0] == package]
    return sorted(each for each in inside if rooms.index(room_of(each, rooms)) > height)


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_keeps_to_its_imports(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        wrong = {name for name in imports(file.read_text()) if name.partition(".")[0] in FORBIDDEN[room]}
        assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("package", ORDER)
def test_rooms_import_downwards(package):
    rooms = ORDER[package].split()
    files = sorted((ROOT / package).rglob("*.py"))
    there = {path.relative_to(ROOT / package).parts[0].removesuffix(".py") for path in files} - {"__init__"}
    assert there == set(rooms) - {package}, "a room is missing from ORDER, or is gone"
    for file in files:
        if file.name != "repro_script.py":
            path = str(file.relative_to(ROOT))
            assert not upwards(package, path, file.read_text()), path


def test_control_an_import_upwards_is_seen():
    bad = "def f():\n    from parity.proof.proof import check_twin\n"
    assert upwards("parity", "parity/sides/flax.py", bad) == ["parity.proof.proof.check_twin"]
    assert upwards("parity", "parity/cli.py", bad) == []
    assert upwards("d2l_jax", "d2l_jax/turns.py", "from d2l_jax import optim, train") == ["d2l_jax.train"]


def test_control_an_import_is_seen():
    assert imports("def f():\n    import torch.nn as nn\nfrom os import path") == {"torch.nn", "os.path"}


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
