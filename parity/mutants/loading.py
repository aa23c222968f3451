"""Modules of Flax's side that are compiled from a changed syntax tree; the files stay as they are."""

import ast
import sys
from collections.abc import Callable, Mapping
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

Rewrite = Callable[[str], ast.Module]


def package_root() -> Path:
    """Returns the folder in which `d2l_jax` stands, without importing it."""
    spec = find_spec("d2l_jax")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("d2l_jax is not installed", name="d2l_jax")
    return Path(spec.origin).parent.parent


def module_of(file: str) -> str:
    """Returns the dotted name of a file, "d2l_jax/nn/__init__.py" -> "d2l_jax.nn"."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class Rewritten(SourceFileLoader):
    """Loads a module from the tree that `rewrite` makes of its source; nothing is written or cached.

    names: that the module knows beside its own
    """

    def __init__(self, name: str, path: str, rewrite: Rewrite, names: Mapping[str, Any]):
        super().__init__(name, path)
        self.rewrite = rewrite
        self.names = names

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.rewrite(Path(self.path).read_text("utf-8")), self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(self.names)
        super().exec_module(module)


class Finder(MetaPathFinder):
    """Finds the modules of some files, and loads each as its `rewrite` says."""

    def __init__(self, root: Path, rewrites: Mapping[str, Rewrite], names: Mapping[str, Any]):
        self.root = root
        self.files = {module_of(file): file for file in rewrites}
        self.rewrites = rewrites
        self.names = names

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        file = self.files.get(fullname)
        if file is None:
            return None
        loader = Rewritten(fullname, str(self.root / file), self.rewrites[file], self.names)
        return spec_from_file_location(fullname, self.root / file, loader=loader)


def install(rewrites: Mapping[str, Rewrite], names: Mapping[str, Any] | None = None) -> None:
    """Makes this process import the files as they are rewritten.

    Raises RuntimeError where one of them has been imported already: the change would not be seen.
    """
    finder = Finder(package_root(), rewrites, names or {})
    early = sorted(finder.files.keys() & sys.modules.keys())
    if early:
        raise RuntimeError(f"{early[0]} has been imported before it could be changed")
    sys.meta_path.insert(0, finder)
