"""A model beside its PyTorch twin, as both are written; nothing of either is imported."""

import ast
from collections.abc import Sequence
from difflib import SequenceMatcher
from importlib.metadata import entry_points
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path

from d2l_jax.errors import InputError

Pair = tuple[str, str]  # a line of Flax's, the line of PyTorch's beside it
SPELLINGS = (
    ("nnx.", "nn."),
    (", rngs=rngs", ""),
    ("rngs=rngs", ""),
    ("__call__", "forward"),
    ("[Array,", "[Tensor,"),
    ("()", ""),
)


def twin_lines(places: Sequence[str]) -> list[Pair]:
    """Returns the sources of the models at `places`, "d2l_jax.models.lenet.LeNet", each line beside its twin's.

    Raises InputError where the package of the twins is not installed.
    """
    reference = _reference_folder()
    pairs: list[Pair] = []
    for module, names in _by_module(places).items():
        ours = Path(__file__).parents[1].joinpath(*module.split(".")[1:]).with_suffix(".py")
        files = (ours, reference / ours.name)
        heads = ["# " + "/".join(file.parts[-3:]) for file in files]
        pairs += aligned(*([head, *definitions(file.read_text(), names)] for head, file in zip(heads, files)))
    return pairs


def _by_module(places: Sequence[str]) -> dict[str, list[str]]:
    modules: dict[str, list[str]] = {}
    for place in dict.fromkeys(places):
        module, _, name = place.rpartition(".")
        modules.setdefault(module, []).append(name)
    return modules


def _reference_folder() -> Path:
    """Returns the folder `reference` of the package that trains with PyTorch, which this one does not know by name."""
    for learner in entry_points(group="d2l_jax.learners", name="torch"):
        spec = find_spec(learner.module.partition(".")[0])
        if spec and spec.submodule_search_locations:
            return Path(spec.submodule_search_locations[0]) / "reference"
    raise InputError("--twin needs the PyTorch twins: pip install 'd2l-jax[parity]'")


def definitions(source: str, names: Sequence[str]) -> list[str]:
    """Returns the lines of the named classes and functions, and of what these use of the same file, in its order."""
    tops = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    missing = [name for name in names if name not in tops]
    if missing:
        raise InputError(f"{', '.join(missing)} has no source of its own to be shown")
    used: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        used.add(name)
        words = {node.id for node in ast.walk(tops[name]) if isinstance(node, ast.Name)}
        waiting += [word for word in words if word in tops and word not in used]
    lines = source.splitlines()
    shown: list[str] = []
    for node in (node for name, node in tops.items() if name in used):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        shown += ["", *lines[first - 1 : node.end_lineno]]
    return shown


def aligned(ours: Sequence[str], theirs: Sequence[str]) -> list[Pair]:
    """Returns both texts line by line, with lines that say the same beside each other."""
    same = SequenceMatcher(None, [*map(_plain, ours)], [*map(_plain, theirs)], autojunk=False)
    pairs: list[Pair] = []
    for _, start, end, their_start, their_end in same.get_opcodes():
        pairs += zip_longest(ours[start:end], theirs[their_start:their_end], fillvalue="")
    return pairs


def _plain(line: str) -> str:
    """Returns a line without what the frameworks always write otherwise."""
    for ours, theirs in SPELLINGS:
        line = line.replace(ours, theirs)
    return line.lower().strip()


def side_by_side(pairs: Sequence[Pair], width: int | None) -> list[str]:
    """Returns the lines of a page: two columns, or PyTorch's below Flax's where `width` columns are too few.

    width: None for a file, which has room for any line
    """
    left = max((len(ours) for ours, _ in pairs), default=0)
    right = max((len(theirs) for _, theirs in pairs), default=0)
    if width is not None and left + 3 + right > width:
        ours, theirs = ([line for line in column if line.strip()] for column in zip(*pairs, strict=True))
        return [*ours, "", *theirs]
    return [f"{ours:<{left}} | {theirs}".rstrip() for ours, theirs in pairs]
