"""Files that tell which of their places are reached, when they are run."""

import ast
from collections.abc import Sequence
from typing import Any

from parity.mutants.places import Place, Site, sites

NAME = "__reached__"


class Default:
    """The value of a parameter that no argument has replaced, with the marks of its places."""

    def __init__(self, value: Any, marks: Sequence[str]):
        self.value = value
        self.marks = marks


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

    def default(self, value: Any, *marks: str) -> Default:
        """Returns what stands for a default in a signature: no caller can pass the same, as False is everywhere."""
        return Default(value, marks)

    def argument(self, value: Any) -> Any:
        """Returns the value of an argument; a default is recorded as reached."""
        if not isinstance(value, Default):
            return value
        self.marks.update(value.marks)
        return value.value


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
        node.body[first:first] = [ast.Expr(self._call("", ast.Constant(mark))), *defaults]
        self.around.pop()
        return node

    def _defaults(self, arguments: ast.arguments) -> list[ast.stmt]:
        """Lets the recorder stand for each default that has places, and returns the statements that unwrap it."""
        named = [*arguments.posonlyargs, *arguments.args]
        first = len(named) - len(arguments.defaults)
        statements: list[ast.stmt] = []
        both: Any = ((named[first:], arguments.defaults), (arguments.kwonlyargs, arguments.kw_defaults))
        for names, defaults in both:
            for number, (name, default) in enumerate(zip(names, defaults)):
                marks = [self.marks.pop(id(node), "") for node in ast.walk(default)] if default else []
                if marks := list(filter(None, marks)):
                    defaults[number] = self._call("default", default, *map(ast.Constant, marks))
                    unwrapped = self._call("argument", ast.Name(name.arg, ast.Load()))
                    statements.append(ast.Assign([ast.Name(name.arg, ast.Store())], unwrapped))
        return statements

    def _after(self, mark: str, node: ast.expr) -> ast.expr:
        """Returns (record, node)[1]."""
        both = ast.Tuple([self._call("", ast.Constant(mark)), node], ast.Load())
        return ast.copy_location(ast.Subscript(both, ast.Constant(1), ast.Load()), node)

    def _call(self, method: str, *arguments: ast.expr) -> ast.Call:
        recorder = ast.Name(NAME, ast.Load())
        function = ast.Attribute(recorder, method, ast.Load()) if method else recorder
        return ast.Call(function, list(arguments), [])
