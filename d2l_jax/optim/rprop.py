"""Rprop: steps by the gradient's sign alone (Riedmiller and Braun 1993)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from d2l_jax.errors import InputError
from d2l_jax.optim.gradient import maximized
from d2l_jax.optim.groups import Groups, Options, transformation
from d2l_jax.optim.rate import Rate, rate_at
from d2l_jax.optim.slots import per_parameter, slot


class RpropState(NamedTuple):
    """The state of Rprop under PyTorch's names.

    step:      number of updates so far, int32
    prev:      like the parameters, the gradient before; 0 where the sign has changed
    step_size: like the parameters, how far each number moves
    """

    step: Int[Array, ""]
    prev: Any
    step_size: Any


def Rprop(
    lr: Rate = 1e-2,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
    *,
    maximize: bool = False,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Rprop (`torch.optim.Rprop`; Riedmiller and Braun 1993) for gradients of all data.

    lr:         the first step's size alone, also of a schedule
    etas:       what multiplies the size of a step after a change of sign, and after none
    step_sizes: the smallest and the largest

    `optax.rprop` is one update late: its first is 0.
    Raises InputError as PyTorch does, and where a group fits no parameter.
    """
    options = Options(groups, lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize)
    for less, more in options.values("etas"):
        if not 0 < less < 1 < more:
            raise InputError(f"etas are {(less, more)} where a number in (0, 1) and one above 1 are right")
    return optax.chain(maximized(options), adapted(options))


def adapted(options: Options) -> optax.GradientTransformation:
    """Replaces updates by steps against their signs."""

    def init(params: optax.Params) -> RpropState:
        def first(path: tuple, parameter: Array) -> Array:
            return jnp.full_like(parameter, rate_at(options.of(path)["lr"], 0))

        sizes = jax.tree_util.tree_map_with_path(first, params)
        return RpropState(jnp.zeros((), jnp.int32), slot(params, options), sizes)

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        def rule(
            o: dict, g: Float[Array, "*shape"], before: Float[Array, "*shape"], size: Float[Array, "*shape"]
        ) -> tuple:
            less, more = o["etas"]
            agreement = jnp.sign(g * before)
            factor = jnp.where(agreement > 0, more, jnp.where(agreement < 0, less, 1.0))
            size = jnp.clip(size * factor.astype(size.dtype), *o["step_sizes"])
            g = jnp.where(agreement < 0, 0.0, g)
            return -jnp.sign(g) * size, g, size

        updates, *slots = per_parameter(rule, options, updates, *state[1:])
        return updates, RpropState(state.step + 1, *slots)

    return transformation(options, update, init)
