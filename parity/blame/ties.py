"""Gradients that differ only where a number is exactly 0: which of Flax's functions has another slope there."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import torch

from parity.blame.diagnosis.functions.slopes import OF_ABS, OF_CLIP, OF_LEAKY, OF_MAXIMUM
from parity.blame.marks import flax_told
from parity.compare.rows import Row
from parity.models.programs import called, programs_in
from parity.result import Blame
from parity.twin.planted_zeros import with_planted_zeros
from parity.twin.twin import Twin

SLOPES = {  # the name in JAX's program: what people write, its slope at 0, and PyTorch's of the same
    "max": ("maximum", OF_MAXIMUM),
    "leaky_relu": ("leaky-relu", OF_LEAKY),
    "abs": ("abs", OF_ABS),
    "norm": ("norm", "jnp.linalg.norm has the slope NaN at 0, PyTorch's 0"),
    "sqrt": ("sqrt", "jnp.sqrt has an infinite slope at 0"),
    "clip": ("clip", OF_CLIP),
    "sort": ("sort", "equal numbers are put in another order"),
    "top_k": ("top-k", "of equal numbers jax.lax.top_k takes the first ones, torch.topk any"),
    "reduce_max": ("reduce-max", "jnp.max divides the slope among equal numbers, torch.max(dim) gives it to one"),
    "reduce_min": ("reduce-min", "jnp.min divides the slope among equal numbers, torch.min(dim) gives it to one"),
}


def _several(equation: Any, x: jax.Array) -> jax.Array:
    """Tells whether several numbers are the largest along the axes of a maximum."""
    axes = equation.params["axes"]
    return jnp.any((x == x.max(axes, keepdims=True)).sum(axes) > 1)


MET = {  # operations of which it shows whether they meet such a number
    "max": lambda equation, x, y: jnp.any(x == y),
    "abs": lambda equation, x: jnp.any(x == 0),
    "sqrt": lambda equation, x: jnp.any(x == 0),
    "reduce_max": _several,
}
HIDDEN = ("relu", "relu6", "softmax", "log_softmax", "logsumexp")  # their maxima have slopes of their own, or none


def blame_ties(twin: Twin, rows: Sequence[Row]) -> Blame | None:
    """Returns the functions in Flax's program that may be it; None where no row of numbers at 0 has failed."""
    wrong = [row.key.tensor for row in rows if row.key.phase == "at zero" and not row.passed]
    if not wrong:
        return None
    present = dict.fromkeys(_names(twin))
    causes = [SLOPES[name] for name in SLOPES if name in present]
    if any(isinstance(module, torch.nn.PReLU) for module in twin.torch.model.modules()):
        causes = [("prelu", "Flax's PReLU has the slope 1 at 0, PyTorch's the one that it learns"), *causes]
    more = ", ..." if len(wrong) > 3 else ""
    place = f"gradients where numbers are exactly 0, and only there ({', '.join(wrong[:3])}{more})"
    if not causes:
        return Blame("", "backward", "", place)
    return Blame("", "backward", "slope-at-zero", f"{place}: {'; or '.join(text for _, text in causes)}")


def _names(twin: Twin) -> list[str]:
    """Returns the names of those functions in Flax's program that meet a number where their slope is a choice."""
    names: list[str] = []

    def tell(equation: Any, given: Sequence[Any], results: Sequence[Any]) -> Iterator[jax.Array]:
        for name in _operations([equation]) if equation is not None and not _open(equation) else ():
            names.append(name)
            yield jnp.asarray(MET.get(name, _unknown)(equation, *given) if name == _name(equation) else True)

    met = flax_told(twin, with_planted_zeros(twin), True, tell, _open)
    return [name for name, tie in zip(names, met, strict=False) if tie]


def _unknown(equation: Any, *given: Any) -> bool:
    return True


def _open(equation: Any) -> bool:
    """Tells whether it is a function that is looked into: none that is known, or has slopes of its own."""
    return called(equation) is not None and _name(equation) not in (*HIDDEN, *SLOPES)


def _name(equation: Any) -> str:
    return str(equation.params.get("name", equation.primitive.name))


def _operations(equations: Sequence[Any]) -> Iterator[str]:
    for equation in equations:
        name = _name(equation)
        if name in HIDDEN:
            continue
        yield name
        for inner in () if name in SLOPES else programs_in(equation):
            yield from _operations(inner.eqns)
