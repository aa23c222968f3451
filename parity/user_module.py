"""A module of a user's own: imported by its name, or by the path of its file, and where in it an error was raised."""

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

import d2l_jax
from d2l_jax.errors import InputError, in_a_line

OURS = ("parity", "d2l_jax")  # they may lie beside the user's file
_folders: list[Path] = []  # that of the file that was imported last


def user_module(place: str) -> ModuleType:
    """Returns the module that `place` names in the folder in which the command runs, or the file of this path.

    Raises InputError where there is none, or it does not load.
    """
    if not place:
        raise InputError("MODULE:FUNCTION has no module; my_models:pair, or my_models.py:pair, is right")
    path = Path(place)
    by_path = path.suffix == ".py"
    if by_path and not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        return _of_file(path.resolve()) if by_path else _by_name(place)
    except ModuleNotFoundError as error:
        if not by_path and error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise InputError(f"there is no module {error.name!r} here, nor among what is installed") from error
        raise InputError(f"{place} does not load: {told(error)}") from error
    except Exception as error:  # of the user's own file, whatever it is
        raise InputError(f"{place} does not load: {told(error)}") from error


def told(error: Exception) -> str:
    """Returns an error of the user's own code in one line, with the line of their file that raised it."""
    places = (Path(file).resolve().parent for file in (traceback.__file__, d2l_jax.__file__, __file__))
    installed = Path(sys.prefix).resolve(), *places
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_file()]
    own = [frame for frame in frames if not any(map(Path(frame.filename).resolve().is_relative_to, installed))]
    return in_a_line(error) + (f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else "")


def _by_name(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def _of_file(path: Path) -> ModuleType:
    """Imports a file: as a part of its package, if it is in one, so that its relative imports are right."""
    home, name = path.parent, path.stem
    while (home / "__init__.py").is_file():
        home, name = home.parent, f"{home.name}.{name}"
    _enter(home)
    there = sys.modules.get(name)
    if there is not None and _file(there) == path:
        return there
    if "." in name and path.parent != home and there is None:
        return importlib.import_module(name)
    # Python's own module, or another's, may be called so, and a name with a dot would be a package's.
    return _executed(path, name if there is None and "." not in name else f"{path.stem} of {path.parent}")


def _enter(home: Path) -> None:
    """Lets the file import its neighbours, and none that another pair's folder has under the same names."""
    for before in [each for each in _folders if each != home]:
        sys.path[:] = [each for each in sys.path if each != str(before)]
        for name, module in list(sys.modules.items()):
            file = _file(module)
            theirs = file and file.is_relative_to(before) and not file.is_relative_to(sys.prefix)
            if theirs and name.partition(".")[0] not in OURS:
                del sys.modules[name]
    _folders[:] = [home]
    if str(home) not in sys.path[:1]:
        sys.path.insert(0, str(home))


def _file(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


def _executed(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
