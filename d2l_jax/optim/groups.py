"""Parameter groups: the options of each parameter."""

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import jax
import optax

from d2l_jax.errors import InputError

Groups = Mapping[str, Mapping[str, Any]]

# PyTorch refuses negative values of these; every other option may be any number.
AT_LEAST_0 = {
    *("lr", "lr_decay", "momentum", "momentum_decay", "weight_decay", "eps", "alpha"),
    "initial_accumulator_value",
}


class Options:
    """The options of every parameter: the defaults, changed by the first group whose ending fits its name.

    groups:   {end of a parameter's PyTorch name: options that differ for it}
    defaults: every option of the algorithm

    Raises InputError for an option that `defaults` lacks, or a value that PyTorch refuses.
    """

    def __init__(self, groups: Groups | None, /, **defaults: Any):
        _check_values(defaults, "")
        self.defaults = defaults
        self.groups: dict[str, dict[str, Any]] = {}
        for ending, options in (groups or {}).items():
            where = f" of group {ending!r}"
            if unknown := [name for name in options if name not in defaults]:
                raise InputError(f"unknown option {unknown[0]!r}{where}; known: {', '.join(defaults)}")
            _check_values(options, where)
            self.groups[ending] = defaults | dict(options)

    def fixed(self, **same: Any) -> "Options":
        """Returns options with further ones that are the same for every parameter."""
        more = Options(None, **self.defaults, **same)
        more.groups = {ending: options | same for ending, options in self.groups.items()}
        return more

    def of(self, path: tuple) -> dict[str, Any]:
        """The options of the parameter at `path`, a key path of `jax.tree_util`."""
        ending = self._ending(path)
        return self.defaults if ending is None else self.groups[ending]

    def values(self, option: str) -> list[Any]:
        """The default of `option`, then its value in each group."""
        return [options[option] for options in (self.defaults, *self.groups.values())]

    def any(self, option: str) -> bool:
        """True if `option` is switched on for any parameter."""
        return any(self.values(option))

    def check_endings(self, params: optax.Params) -> None:
        """Raises InputError for a group that no parameter falls into."""
        paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
        used = {self._ending(path) for path in paths}
        if unused := [ending for ending in self.groups if ending not in used]:
            names = ", ".join(torch_name(path) for path in paths[:8]) + (", ..." if len(paths) > 8 else "")
            raise InputError(f"group {unused[0]!r} fits no parameter that no earlier group has; parameters: {names}")

    def _ending(self, path: tuple) -> str | None:
        if not self.groups:
            return None
        name = torch_name(path)
        return next((ending for ending in self.groups if name.endswith(ending)), None)


def torch_name(path: tuple) -> str:
    """PyTorch's name of the parameter at `path`: `net.0.weight` for net, 0, kernel."""
    *modules, last = jax.tree_util.keystr(path, simple=True, separator=".").split(".")
    return ".".join([*modules, "weight" if last in ("kernel", "scale", "embedding") else last])


def transformation(
    options: Options,
    update: Callable,
    init: Callable[[optax.Params], Any] = lambda params: optax.EmptyState(),
) -> optax.GradientTransformation:
    """The Optax transformation of `init` and `update`, whose init raises InputError for a group without parameters."""

    def checked_init(params: optax.Params) -> Any:
        options.check_endings(params)
        return init(params)

    return optax.GradientTransformation(checked_init, update)


def _check_values(options: Mapping[str, Any], where: str) -> None:
    for name, value in options.items():
        for number in value if name == "betas" else [value]:
            if isinstance(number, Real) and not _allowed(name, float(number)):
                raise InputError(f"{name}{where} is {value!r} where {_right(name)} is right")


def _allowed(name: str, number: float) -> bool:
    if name == "betas":
        return 0 <= number < 1
    if name == "rho":
        return 0 <= number <= 1
    return number >= 0 if name in AT_LEAST_0 else not math.isnan(number)


def _right(name: str) -> str:
    ranges = {"betas": "a pair of numbers in [0, 1)", "rho": "a number in [0, 1]"}
    return ranges.get(name, "a number >= 0" if name in AT_LEAST_0 else "a number")
