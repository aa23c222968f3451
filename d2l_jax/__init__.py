"""The models of Dive into Deep Learning as functional, jitted Flax NNX models."""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from d2l_jax.cpu.memory import keep_memory as keep_memory
    from d2l_jax.errors import InputError as InputError
    from d2l_jax.functional import Functional as Functional
    from d2l_jax.functional import eval_view as eval_view
    from d2l_jax.functional import functional as functional
    from d2l_jax.functional import intermediates as intermediates
    from d2l_jax.functional import train_view as train_view
    from d2l_jax.runs.load import load as load
    from d2l_jax.train import TrainState as TrainState
    from d2l_jax.train import fit as fit
    from d2l_jax.train import make_epoch as make_epoch
    from d2l_jax.train import make_eval_step as make_eval_step
    from d2l_jax.train import make_train_step as make_train_step
    from d2l_jax.turns import Observed as Observed
    from d2l_jax.turns import Turn as Turn
    from d2l_jax.turns import supervised as supervised

__version__ = "0.1.0"

EXPORTS = {
    "cpu.memory": ("keep_memory",),
    "errors": ("InputError",),
    "functional": ("Functional", "eval_view", "functional", "intermediates", "train_view"),
    "runs.load": ("load",),
    "train": ("TrainState", "fit", "make_epoch", "make_eval_step", "make_train_step"),
    "turns": ("Observed", "Turn", "supervised"),
}
PLACES = {name: place for place, names in EXPORTS.items() for name in names}


def __getattr__(name: str) -> Any:
    """Loads a name or a room, and JAX with it, at its first use: a command that needs neither starts at once."""
    if name in PLACES:
        value = getattr(import_module(f"{__name__}.{PLACES[name]}"), name)
        globals()[name] = value
        return value
    if name.startswith("_") or find_spec(f"{__name__}.{name}") is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *PLACES})


class _Package(ModuleType):
    """The package, in which `functional` stays the function when the file of that name is loaded."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in PLACES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
