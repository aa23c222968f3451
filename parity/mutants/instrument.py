"""Files that tell which of their places are reached, when they are run."""

import ast
from collections.abc import Sequence
from typing import Any

from parity.mutants.places import Place, Site, sites

NAME = "__reached__"


class Recorder:
    """The marks of all places and functions that have been reached."""

    def __init__(self) -> None:
        self.marks = set[str]()

    def __call__(self, mark: str) -> None:
        self.marks.add(mark)

    def take(self) -> set[str]:
        """Returns the marks, and begins anew."""
        marks = self.marks
        self.marks = set()
        return marks

    def default(self, marks: Sequence[str], value: Any, default: Any) -> None:
        """Records the places of a default where the argument has its value."""
        if type(value) is type(default) and value == default:
            self.marks.update(marks)


def instrumented(source: str, file: str) -> ast.Module:
    """Returns the tree of a file in which every place and every function calls a `Recorder` under `NAME`."""
    tree = ast.parse(source)
    listed = sites(tree, source, file)
    return ast.fix_missing_locations(_Instrumented(file, listed).visit(tree))


def resolved(marks: set[str], imported: set[str], places: Sequence[Place]) -> list[Place]:
    """Returns the places that a run has reached.

    marks:    of the run
    imported: of the import, which runs class bodies and values of modules. They count as reached where
              anything in their class, or in their file, is
    """

    def used(place: Place) -> bool:
        start = f"{place.file}::{place.within}" if place.within else f"{place.file}:"
        return any(mark.startswith(start) for mark in marks)

    return [place for place in places if place.mark in marks or (place.mark in imported and used(place))]


class _Instrumented(ast.NodeTransformer):
    def __init__(self, file: str, listed: Sequence[Site]):
        self.file = file
        self.marks = {id(site.node): site.place.mark for site in listed}
        self.around: list[str] = []

    def visit(self, node: ast.AST) -> Any:
        mark = self.marks.get(id(node))
        node = super().visit(node)
        if mark is None:
            return node
        if isinstance(node, ast.AugAssign):
            node.value = self._after(mark, node.value)
            return node
        return self._after(mark, node)  # type: ignore[arg-type]

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.around.append(node.name)
        self.generic_visit(node)
        self.around.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.around.append(node.name)
        defaults = self._defaults(node.args)
        self.generic_visit(node)
        first = 1 if ast.get_docstring(node, clean=False) is not None else 0
        mark = f"{self.file}::{'.'.join(self.around)}"
        node.body[first:first] = [ast.Expr(self._call(mark)), *defaults]
        self.around.pop()
        return node

    def _defaults(self, arguments: ast.arguments) -> list[ast.stmt]:
        """Returns a statement for each default that is a plain value; its places are then no expressions to record."""
        named = [*arguments.posonlyargs, *arguments.args]
        pairs = [*zip(named[len(named) - len(arguments.defaults) :], arguments.defaults)]
        pairs += [(name, default) for name, default in zip(arguments.kwonlyargs, arguments.kw_defaults) if default]
        statements: list[ast.stmt] = []
        for name, default in pairs:
            inside = list(ast.walk(default))
            marks = [self.marks[id(node)] for node in inside if id(node) in self.marks]
            if not marks or any(isinstance(node, ast.Name | ast.Call | ast.Lambda) for node in inside):
                continue
            for node in inside:
                self.marks.pop(id(node), None)
            called = ast.Attribute(ast.Name(NAME, ast.Load()), "default", ast.Load())
            listed = ast.List([ast.Constant(mark) for mark in marks], ast.Load())
            value = ast.parse(ast.unparse(default), mode="eval").body
            statements.append(ast.Expr(ast.Call(called, [listed, ast.Name(name.arg, ast.Load()), value], [])))
        return statements

    def _after(self, mark: str, node: ast.expr) -> ast.expr:
        """Returns (record, node)[1]."""
        both = ast.Tuple([self._call(mark), node], ast.Load())
        return ast.copy_location(ast.Subscript(both, ast.Constant(1), ast.Load()), node)

    def _call(self, mark: str) -> ast.Call:
        return ast.Call(ast.Name(NAME, ast.Load()), [ast.Constant(mark)], [])
