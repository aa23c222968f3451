"""A value that XLA computes once and keeps."""

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Shaped

from d2l_jax.cpu.switch import turned_off

_primitive = Primitive("materialised")


def materialised(x: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """`x`, on a CPU kept in memory before anything else is done with it; so is its gradient.

    XLA:CPU computes cheap values again wherever they are used, also in the loop of a transposition, which then takes
    two to six times as long, or of an exponential, which it then does not vectorise. Nothing is fused across a call,
    and one that returns its argument takes no time.
    """
    return x if turned_off() else _primitive.bind(x)


@jax.jit
def _same(x: Array) -> Array:
    return x


def _call(x: Array) -> Array:
    # XLA inlines every call but those that say this, before it fuses; an optimisation barrier is gone by then.
    with set_xla_metadata(inlineable="false"):
        return _same(x)


def _batched(operands: tuple[Array], axes: tuple[int]) -> tuple[Array, int]:
    return _primitive.bind(*operands), *axes


_primitive.def_impl(jnp.asarray)
_primitive.def_abstract_eval(lambda x: x)
mlir.register_lowering(_primitive, mlir.lower_fun(lambda x: x, multiple_results=False))
mlir.register_lowering(_primitive, mlir.lower_fun(_call, multiple_results=False), platform="cpu")
ad.deflinear2(_primitive, lambda g, _: [_primitive.bind(g)])
batching.primitive_batchers[_primitive] = _batched
