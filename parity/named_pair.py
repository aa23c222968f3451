"""A pair of a user's own that a command is told by name: `parity check module:function`."""

import importlib
import importlib.util
import inspect
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from d2l_jax.errors import InputError, one_of
from parity.own_pair import check
from parity.result import Result
from parity.twin.explain import first_line

RETURNS = "a tuple (flax_model, torch_model, inputs), or a dict of the arguments of parity.check, is right"


def check_named(target: str, **options: Any) -> Result:
    """Returns the result of the pair that MODULE:FUNCTION makes; what cannot be compared is its `error`.

    options: of `parity.check`, where the function does not say otherwise
    """
    start = time.perf_counter()
    try:
        arguments = _arguments(target)
        result = arguments if isinstance(arguments, Result) else check(**options | arguments)
    except InputError as error:
        result = Result(target, "", 0, error=str(error), refused=True)
    except Exception as error:  # models that cannot run are one pair's result, not the end of all
        result = Result(target, "", 0, error=first_line(error))
    return replace(result, name=target, seconds=round(time.perf_counter() - start, 2))


def _arguments(target: str) -> dict[str, Any] | Result:
    """Returns what the function returns, by the names of the arguments of `parity.check`."""
    place, _, name = target.rpartition(":")
    module = _module(place)
    if not hasattr(module, name):
        public = [each for each, value in vars(module).items() if inspect.isfunction(value)]
        raise one_of(f"function of {place}", name, public) if public else InputError(f"{place} has no function")
    function = getattr(module, name)
    try:
        pair = function() if callable(function) else function
    except InputError:
        raise
    except Exception as error:  # of the user's own function, whatever it is
        raise InputError(f"the function raises {first_line(error)}") from error
    if isinstance(pair, Result):
        return pair
    if isinstance(pair, tuple) and len(pair) == 3:
        return dict(zip(("model", "torch_model", "inputs"), pair, strict=True))
    if not isinstance(pair, dict):
        raise InputError(f"the function returns {type(pair).__name__}; {RETURNS}")
    known = list(inspect.signature(check).parameters)
    if unknown := [key for key in pair if key not in known]:
        raise one_of("argument of parity.check", str(unknown[0]), known)
    return pair


def _module(place: str) -> ModuleType:
    """Imports a module of the folder in which the command runs, by its name or by the path of its file."""
    path = Path(place)
    if not place:
        raise InputError("MODULE:FUNCTION has no module; my_models:pair, or my_models.py:pair, is right")
    if path.suffix == ".py":
        if not path.is_file():
            raise InputError(f"there is no file {path}")
        sys.path.insert(0, str(path.absolute().parent))
        place = path.stem
    else:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise InputError(f"there is no module {error.name!r} here, nor among what is installed") from error
        raise InputError(f"{place} does not load: {first_line(error)}") from error
    except Exception as error:  # of the user's own file, whatever it is
        raise InputError(f"{place} does not load: {first_line(error)}") from error
