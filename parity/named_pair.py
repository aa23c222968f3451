"""A pair of a user's own that a command is told by name: `parity check module:function`."""

import inspect
import time
from dataclasses import replace
from typing import Any

from d2l_jax.errors import InputError, one_of
from parity.listening import Listener, heard_by
from parity.own_pair import check
from parity.proof.checking import silent
from parity.result import Result
from parity.user_module import told, user_module

DEFINES = "a function that returns (flax_model, torch_model, inputs) is right"
RETURNS = "a tuple (flax_model, torch_model, inputs), or a dict of the arguments of parity.check, is right"


def check_named(target: str, listener: Listener = silent, **options: Any) -> Result:
    """Returns the result of the pair that MODULE:FUNCTION makes; what cannot be compared is its `error`.

    listener: hears that the function is called, and the phases of the check
    options:  of `parity.check`, where the function does not say otherwise
    """
    start = time.perf_counter()
    try:
        with heard_by(listener):
            arguments = _arguments(target, listener)
            result = arguments if isinstance(arguments, Result) else check(**options | arguments)
    except InputError as error:
        result = Result(target, "", 0, error=str(error), refused=True)
    except Exception as error:  # models that cannot run are one pair's result, not the end of all
        result = Result(target, "", 0, error=told(error))
    return replace(result, name=target, seconds=round(time.perf_counter() - start, 2))


def _arguments(target: str, listener: Listener) -> dict[str, Any] | Result:
    """Returns what the function returns, by the names of the arguments of `parity.check`."""
    place, _, name = target.rpartition(":")
    module = user_module(place)
    if not hasattr(module, name):
        public = [each for each, value in vars(module).items() if inspect.isfunction(value)]
        raise (
            one_of(f"function of {place}", name, public)
            if public
            else InputError(f"{place} has no {name!r}; {DEFINES}")
        )
    function = getattr(module, name)
    listener(target, "two models")
    try:
        pair = function() if callable(function) else function
    except InputError:
        raise
    except Exception as error:  # of the user's own function, whatever it is
        raise InputError(f"the function raises {told(error)}") from error
    if isinstance(pair, Result):
        return pair
    if isinstance(pair, tuple) and len(pair) == 3:
        return dict(zip(("model", "torch_model", "inputs"), pair, strict=True))
    if not isinstance(pair, dict):
        what = f"a tuple of {len(pair)}" if isinstance(pair, tuple) else type(pair).__name__
        raise InputError(f"the function returns {what}; {RETURNS}")
    known = list(inspect.signature(check).parameters)
    if unknown := [key for key in pair if key not in known]:
        raise one_of("argument of parity.check", str(unknown[0]), known)
    return pair
