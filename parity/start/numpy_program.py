"""A traced program run by NumPy, with random bits of its own: JAX would compile one program for each shape."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from scipy import special

from parity.models.programs import bound, called


class Later:
    """A value of JAX's, as a random key, which is computed only where something other than random bits reads it."""

    def __init__(self, make: Callable[[], Any]):
        self._make = make
        self._values: list[Any] = []

    def value(self) -> Any:
        """Returns the value, computed once."""
        if not self._values:
            self._values.append(self._make())
        return self._values[0]


def run(program: core.ClosedJaxpr, random: np.random.Generator, outputs: Sequence[int]) -> dict[int, np.ndarray]:
    """Returns some outputs, by number, of a program without inputs; its keys, too, are others for every draw."""
    constants = [_constant(value, random) for value in program.consts]
    values = _run(program.jaxpr, constants, [], random)
    return {number: np.asarray(_now(values[number])) for number in outputs}


def _constant(value: Any, random: np.random.Generator) -> Any:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        number = int(random.integers(2**31))
        return Later(lambda: _folded(value, number))
    return np.asarray(value) if isinstance(value, jax.Array | np.ndarray) else value


def _folded(key: jax.Array, number: int) -> jax.Array:
    if key.ndim:
        return jax.vmap(lambda each: jax.random.fold_in(each, number))(key)
    return jax.random.fold_in(key, number)


def _run(jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Any], random: np.random.Generator) -> list[Any]:
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, constants, strict=True))
    values |= dict(zip(jaxpr.invars, inputs, strict=True))

    def read(variable: Any) -> Any:
        literal = isinstance(variable, core.Literal)
        return np.asarray(variable.val, variable.aval.dtype) if literal else values[variable]  # type: ignore

    for equation in jaxpr.eqns:
        outputs = _step(equation, [read(variable) for variable in equation.invars], random)
        values |= dict(zip(equation.outvars, outputs, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _step(equation: Any, inputs: list[Any], random: np.random.Generator) -> Sequence[Any]:
    name = equation.primitive.name
    if inner := called(equation):
        return _run(inner[0], [_constant(value, random) for value in inner[1]], inputs, random)
    if name == "random_bits":
        dtype = np.dtype(f"uint{equation.params['bit_width']}")
        (output,) = equation.outvars
        return [random.integers(0, np.iinfo(dtype).max, output.aval.shape, dtype, endpoint=True)]
    if name in NUMPY and not any(isinstance(value, Later) for value in inputs):
        with np.errstate(all="ignore"):
            return [np.asarray(NUMPY[name](equation, *inputs), equation.outvars[0].aval.dtype)]
    if name == "random_seed":
        seed = int(random.integers(2**31))
        return [Later(lambda: jax.random.key(seed, impl=equation.params["impl"].name))]
    together = Later(lambda: bound(equation, [jnp.asarray(_now(value)) for value in inputs]))
    return [Later(lambda number=number: together.value()[number]) for number in range(len(equation.outvars))]


def _now(value: Any) -> Any:
    return value.value() if isinstance(value, Later) else value


def _broadcast(equation: Any, x: np.ndarray, *_: Any) -> np.ndarray:
    shape = equation.params["shape"]
    at = dict(zip(equation.params["broadcast_dimensions"], x.shape, strict=True))
    return np.broadcast_to(x.reshape([at.get(axis, 1) for axis in range(len(shape))]), shape)


# Those that initialisers are made of; what is missing here is left to JAX.
NUMPY: dict[str, Callable[..., Any]] = {
    "add": lambda _, x, y: x + y,
    "sub": lambda _, x, y: x - y,
    "mul": lambda _, x, y: x * y,
    "div": lambda _, x, y: x / y,
    "max": lambda _, x, y: np.maximum(x, y),
    "min": lambda _, x, y: np.minimum(x, y),
    "neg": lambda _, x: -x,
    "sqrt": lambda _, x: np.sqrt(x),
    "exp": lambda _, x: np.exp(x),
    "log": lambda _, x: np.log(x),
    "nextafter": lambda _, x, y: np.nextafter(x, y),
    "clamp": lambda _, low, x, high: np.clip(x, low, high),
    "erf": lambda _, x: special.erf(x),
    "erf_inv": lambda _, x: special.erfinv(x),
    "or": lambda _, x, y: x | y,
    "and": lambda _, x, y: x & y,
    "shift_right_logical": lambda _, x, y: x >> y,
    "broadcast_in_dim": _broadcast,
    "reshape": lambda equation, x: x.reshape(equation.params["new_sizes"]),
    "squeeze": lambda equation, x: np.squeeze(x, equation.params["dimensions"]),
    "transpose": lambda equation, x: np.transpose(x, equation.params["permutation"]),
    "bitcast_convert_type": lambda equation, x: x.view(equation.params["new_dtype"]),
    "convert_element_type": lambda equation, x: x.astype(equation.params["new_dtype"]),
    "stop_gradient": lambda _, x: x,
    "copy": lambda _, x: x,
    "concatenate": lambda equation, *xs: np.concatenate(xs, equation.params["dimension"]),
}
