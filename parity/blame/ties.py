"""Gradients that differ only where a number is exactly 0: which of Flax's functions has another slope there."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import torch

from parity.compare.rows import Row
from parity.layers.calls import functions_of
from parity.models.random_numbers import requested
from parity.result import Blame
from parity.twin.twin import Twin

SLOPES = {  # the name in JAX's program: what people write, its slope at 0, and PyTorch's of the same
    "max": ("maximum", "jnp.maximum(x, 0) has the slope 1/2 at 0, PyTorch's relu 0; nnx.relu has 0"),
    "leaky_relu": ("leaky-relu", "jax.nn.leaky_relu has the slope 1 at 0, PyTorch's the negative one"),
    "abs": ("abs", "jnp.abs has the slope 1 at 0, torch.abs 0"),
    "norm": ("norm", "jnp.linalg.norm has the slope NaN at 0, PyTorch's 0"),
    "sqrt": ("sqrt", "jnp.sqrt has an infinite slope at 0"),
    "clip": ("clip", "jnp.clip has the slope 1/2 at a bound, torch.clamp 1"),
    "sort": ("sort", "equal numbers are put in another order"),
    "reduce_max": ("reduce-max", "jnp.max divides the slope among equal numbers, torch.max(dim) gives it to one"),
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
    """Returns the names of the functions and operations of Flax's program."""
    names: list[str] = []

    def run(params: Any, buffers: Any, tensors: Any) -> None:
        def values(params: Any, buffers: Any, tensors: Any) -> list[Any]:
            for function in functions_of(twin.flax, True):
                twin.flax.model.run(function, params, buffers, tensors, train=True)
            return []

        jaxpr = jax.make_jaxpr(values)(params, buffers, tensors)
        names.extend(_operations(jaxpr.jaxpr))

    model = twin.flax.model
    requested(run, model.params, model.buffers, twin.batches[0].tensors)
    return names


def _operations(jaxpr: Any) -> Iterator[str]:
    for equation in jaxpr.eqns:
        name = equation.params.get("name", equation.primitive.name)
        if name in HIDDEN:
            continue
        yield str(name)
        for value in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns") and name not in SLOPES:
                yield from _operations(inner)
