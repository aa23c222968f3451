"""The arithmetic and the memory traffic of a JAX step, as XLA's cost analysis counts them, loops in full.

XLA counts the body of a loop once: an unrolled GRU of 32 steps has 5 times the arithmetic of a scanned one.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun

from d2l_jax.case import Case
from d2l_jax.cpu import plain_lax
from d2l_jax.train import TrainState, make_train_step
from parity.bench.batch import led, random_batch


def traced_training(case: Case, size: int) -> ClosedJaxpr:
    """The training step on `size` examples, from shapes alone, in plain `lax`: the zeros beside a band do not count."""
    model = case.build()
    state = jax.eval_shape(lambda: TrainState.create(model, case.turns))
    step = make_train_step(model, case.turns, case.metrics)
    with plain_lax():
        batch = jax.eval_shape(lambda tensors: led(case, model, tensors), random_batch(case, size).tensors)
        return jax.make_jaxpr(step)(state, batch)


def arithmetic(traced: ClosedJaxpr) -> float:
    """Floating-point operations of a traced step; nothing is compiled."""
    return in_full(traced, lambda lowered: _count(lowered, "flops"))


def traffic(traced: ClosedJaxpr, once: float) -> float:
    """Bytes that a compiled step reads and writes, operation by operation after fusion; `once`: as XLA counts them."""
    bodies = [(length - 1, body) for length, body in loops(traced.jaxpr)]
    return once + sum(more * in_full(body, lambda b: _count(b.compile(), "bytes accessed")) for more, body in bodies)


def in_full(closed: ClosedJaxpr, measure: Callable[[Any], float]) -> float:
    """Returns what `measure` says of a lowered function, with each loop's body as often as it runs."""
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in closed.in_avals]
    once = measure(jax.jit(jaxpr_as_fun(closed)).lower(*shapes))
    return once + sum((length - 1) * in_full(body, measure) for length, body in loops(closed.jaxpr))


def loops(jaxpr: Jaxpr) -> Iterator[tuple[int, ClosedJaxpr]]:
    """(length, body) of the outermost scans, wherever they stand."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan":
            yield equation.params["length"], equation.params["jaxpr"]
        else:
            for inner in _inner(equation.params):
                yield from loops(inner)


def _inner(params: dict[str, Any]) -> list[Jaxpr]:
    """The functions that an equation calls; of alternatives for several platforms, the one of this platform."""
    if platforms := params.get("branches_platforms"):
        here = jax.default_backend()
        fits = [branch for branch, names in zip(params["branches"], platforms) if names is None or here in names]
        return [fits[0].jaxpr]
    values = [v for value in params.values() for v in (value if isinstance(value, tuple | list) else [value])]
    return [v.jaxpr if isinstance(v, ClosedJaxpr) else v for v in values if isinstance(v, ClosedJaxpr | Jaxpr)]


def _count(program: Any, key: str) -> float:
    analysis = program.cost_analysis() or {}
    return max(0.0, analysis.get(key, 0.0))


def affordable(case: Case, gflop: float) -> int:
    """The book's batch size, halved until a training step has at most `gflop` billions of operations, or to 1.

    Halved as often at once as proportion says; the optimiser's share makes it too seldom, never too often.
    """
    size = case.batch_size
    while size > 1 and (excess := arithmetic(traced_training(case, size)) / (gflop * 1e9)) > 1:
        size = max(1, size >> math.ceil(math.log2(excess)))
    return size
