"""`torch.optim` as Optax: the same names, options and conventions.

Every factory takes `groups`: {end of a parameter's PyTorch name: options that differ for it}, the counterpart
of PyTorch's parameter groups. `SGD(0.1, weight_decay=3.0, groups={"bias": {"weight_decay": 0.0}})`.
`lr` is a number or an Optax schedule of the update count.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

Groups = dict[str, dict[str, float]]
Rate = float | optax.Schedule


def SGD(
    lr: Rate, momentum: float = 0.0, weight_decay: float = 0.0, groups: Groups | None = None
) -> optax.GradientTransformation:
    """Stochastic gradient descent; the L2 term joins the gradient before the momentum (book, 12.6)."""
    return optax.chain(
        add_decayed_weights(weight_decay, groups),
        optax.trace(momentum) if momentum else optax.identity(),
        scale_by_rate(lr, groups),
    )


def Adam(
    lr: Rate = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015; book, 12.10); weight decay is an L2 term in the gradient."""
    return optax.chain(
        add_decayed_weights(weight_decay, groups),
        scale_by_adam(betas, eps),
        scale_by_rate(lr, groups),
    )


def AdamW(
    lr: Rate = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    groups: Groups | None = None,
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019); biases decay too, as in PyTorch."""
    return optax.chain(
        scale_by_adam(betas, eps),
        add_decayed_weights(weight_decay, groups),
        scale_by_rate(lr, groups),
    )


def scale_by_adam(betas: tuple[float, float], eps: float) -> optax.GradientTransformation:
    """Adam's direction: mean over (root of the mean square + eps), both corrected for their start at 0.

    `optax.scale_by_adam` forms 1 - beta**count in float32, which loses four digits where beta is near 1;
    PyTorch has it in double precision. expm1 keeps them.
    """
    b1, b2 = betas

    def init(params: optax.Params) -> optax.ScaleByAdamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), zeros, zeros)

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        count = state.count + 1
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, updates)

        def direction(m: jax.Array, v: jax.Array) -> jax.Array:
            correction1, correction2 = (_one_minus_power(b, count, m.dtype) for b in betas)
            return m / correction1 / (jnp.sqrt(v) / jnp.sqrt(correction2) + eps)

        return jax.tree.map(direction, mu, nu), optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)


def _one_minus_power(beta: float, count: jax.Array, dtype: jnp.dtype) -> jax.Array:
    return -jnp.expm1(count.astype(dtype) * math.log(beta))


def add_decayed_weights(weight_decay: float, groups: Groups | None) -> optax.GradientTransformation:
    """Adds `weight_decay` times the parameter; each group may have its own."""

    def update(updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None):
        def decay(path: tuple, u: jax.Array, p: jax.Array) -> jax.Array:
            rate = _option(path, "weight_decay", weight_decay, groups)
            return u + rate * p if rate else u

        return jax.tree_util.tree_map_with_path(decay, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def scale_by_rate(lr: Rate, groups: Groups | None) -> optax.GradientTransformation:
    """Multiplies by -lr; each group may have its own constant rate."""

    def init(params: optax.Params) -> optax.OptState:
        return optax.scale_by_schedule(lr).init(params) if callable(lr) else optax.EmptyState()

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        rate = lr(state.count) if callable(lr) else lr

        def scale(path: tuple, u: jax.Array) -> jax.Array:
            return u * -jnp.asarray(_option(path, "lr", rate, groups), u.dtype)

        step = optax.ScaleByScheduleState(state.count + 1) if callable(lr) else state
        return jax.tree_util.tree_map_with_path(scale, updates), step

    return optax.GradientTransformation(init, update)


def _option(path: tuple, option: str, default: Any, groups: Groups | None) -> Any:
    *modules, last = (str(key.key) for key in path)
    name = ".".join([*modules, "weight" if last in ("kernel", "scale", "embedding") else last])
    for ending, options in (groups or {}).items():
        if name.endswith(ending):
            return options.get(option, default)
    return default
