"""Places of a file at which it can be changed, and the change of one of them."""

import ast
import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from parity.mutants.changes import Change, changes

SILENT = {"__repr__", "__str__", "__dir__"}
REFUSALS = {"refuse", "isinstance", "issubclass", "warn"}


@dataclass(frozen=True)
class Place:
    """An expression that can be changed.

    file:   from the folder of the package, "d2l_jax/nn/pool.py"
    number: of the place in its file, in the order of the source
    within: the class or function around it, "MaxPool2d.__call__"; a default belongs to its function
    code:   the line on which it begins
    old:    its source
    alike:  the number of places before it within the same class or function that read the same
    labels: of all its changes
    """

    file: str
    number: int
    within: str
    line: int
    column: int
    code: str
    old: str
    alike: int
    labels: tuple[str, ...]

    @property
    def key(self) -> str:
        """The name of the place, which stays while other lines of the file change."""
        return "|".join((self.file, self.within, self.code, self.old, str(self.alike)))

    @property
    def mark(self) -> str:
        """The name of the place within this very source."""
        return f"{self.file}:{self.number}"


class Site(NamedTuple):
    """A place with its node in a syntax tree, and the node's changes."""

    place: Place
    node: ast.AST
    changes: list[Change]

    def apply(self, label: str) -> None:
        """Makes one of the changes in the tree."""
        self.changes[self.place.labels.index(label)].apply(self.node)

    def new(self, label: str) -> str:
        """Returns the source of the place with one of its changes; the tree stays."""
        node = copy.deepcopy(self.node)
        self.changes[self.place.labels.index(label)].apply(node)
        return ast.unparse(node)


def sites(tree: ast.Module, source: str, file: str) -> list[Site]:
    """Lists all places of a file's tree.

    Left out are docstrings, annotations, decorators, types, what only words an error or decides about one, and
    what only prints.
    """
    lines = source.split("\n")
    seen = Counter[tuple]()
    listed = list[Site]()
    for node, within in _Walk().nodes(tree):
        options = changes(node)
        if not options:
            continue
        at: ast.expr = node  # type: ignore[assignment]
        code = lines[at.lineno - 1].strip()
        old = _source(lines, at)
        alike = seen[within, code, old]
        seen[within, code, old] += 1
        labels = tuple(change.label for change in options)
        place = Place(file, len(listed), within, at.lineno, at.col_offset + 1, code, old, alike, labels)
        listed.append(Site(place, node, options))
    return listed


def _source(lines: list[str], node: ast.expr) -> str:
    """Returns the node's source in one line; `ast.get_source_segment` would split the file for each node anew."""
    first = node.lineno - 1
    last = (node.end_lineno or node.lineno) - 1
    text = [line.encode() for line in lines[first : last + 1]]
    text[-1] = text[-1][: node.end_col_offset]
    text[0] = text[0][node.col_offset :]
    return " ".join(b" ".join(text).decode().split())


def changed(source: str, file: str, number: int, label: str) -> ast.Module:
    """Returns the tree of the file with one place changed."""
    tree = ast.parse(source)
    sites(tree, source, file)[number].apply(label)
    return ast.fix_missing_locations(tree)


class _Walk:
    """Nodes in the order of the source, each with the names of the classes and functions around it."""

    def __init__(self) -> None:
        self.around: list[str] = []
        self.functions = 0

    def nodes(self, node: ast.AST | None) -> Iterator[tuple[ast.AST, str]]:
        match node:
            case None | ast.Raise() | ast.Assert() | ast.Import() | ast.ImportFrom() | ast.JoinedStr():
                return
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                yield from self._definition(node)
            case ast.If() if refuses(node):
                yield from self._all(node.orelse)
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                return
            case ast.Call(func=ast.Name(name)) if name in REFUSALS or name.endswith("Error"):
                return
            case ast.AnnAssign():
                yield from self.nodes(node.value)
            case ast.match_case():
                yield from self.nodes(node.guard)
                yield from self._all(node.body)
            case ast.Lambda():
                yield from self._all((*node.args.defaults, *node.args.kw_defaults, node.body))
            case ast.BinOp(op=ast.BitOr()) if not self.functions:  # a union of types
                return
            case ast.BinOp(op=ast.BitOr(), right=ast.Dict()):  # nothing but | joins dicts
                yield from self._all((node.left, node.right))
            case _:
                if not _is_text(node):
                    yield node, ".".join(self.around)
                yield from self._all(ast.iter_child_nodes(node))

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator:
        if node.name in SILENT or node.name.lstrip("_").startswith("check_") or node.name.lstrip("_") == "check":
            return
        is_function = not isinstance(node, ast.ClassDef)
        self.around.append(node.name)
        self.functions += is_function
        if is_function:
            yield from self._all((*node.args.defaults, *node.args.kw_defaults))
        yield from self._all(node.body)
        self.functions -= is_function
        self.around.pop()

    def _all(self, nodes: Iterable[ast.AST | None]) -> Iterator[tuple[ast.AST, str]]:
        for node in nodes:
            yield from self.nodes(node)


def refuses(node: ast.If) -> bool:
    """Tells whether an error follows from the condition, whatever is said before it."""
    return isinstance(node.body[-1], ast.Raise)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
