"""Losses for labels that are on or off, each on its own: binary cross-entropy and its kin."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int, Num

from d2l_jax.losses.reduction import fits, reduce, refuse, same_shape, weighted

Loss = Float[Array, "..."]
Values = Float[Array, "*shape"]
Broadcast = Float[Array, "..."]

# A float32 constant in PyTorch, also where the loss is in float64.
LEAST_VARIANCE = float(np.float32(1e-12))


def binary_cross_entropy(
    input: Values, target: Values, *, weight: Broadcast | None = None, reduction: str = "mean"
) -> Loss:
    """Binary cross-entropy -(target log input + (1 - target) log(1 - input)) of probabilities.

    Logarithms below -100 count as -100. The slope in `input` is PyTorch's, (input - target) / max(input (1 - input),
    1e-12), finite at 0 and 1. The slope in `target` has clamped logarithms too, where PyTorch's is infinite. `weight`
    is broadcast to the input.
    Raises: ValueError if the shapes do not match or, outside of `jax.jit`, for an input outside of [0, 1];
    InputError for an unknown reduction.
    """
    same_shape(input=input, target=target)
    fits("weight", weight, input.shape)
    refuse((input < 0) | (input > 1), "input must be probabilities, between 0 and 1")
    loss = _clamped_cross_entropy(input, target)
    return reduce(weighted(loss, weight), reduction)


def binary_cross_entropy_with_logits(
    input: Values,
    target: Values,
    *,
    weight: Broadcast | None = None,
    pos_weight: Broadcast | None = None,
    reduction: str = "mean",
) -> Loss:
    """Binary cross-entropy of sigmoid(input) without overflow; `pos_weight` multiplies the term of target 1.

    Both weights are broadcast to the input. Raises: ValueError if the shapes do not match, InputError for an unknown
    reduction.
    """
    same_shape(input=input, target=target)
    fits("weight", weight, input.shape)
    fits("pos_weight", pos_weight, input.shape)
    if pos_weight is None:
        loss = optax.sigmoid_binary_cross_entropy(input, target)
    else:
        pos_weight = lax.broadcast_to_rank(pos_weight, input.ndim)
        loss = -pos_weight * target * jax.nn.log_sigmoid(input) - (1 - target) * jax.nn.log_sigmoid(-input)
    return reduce(weighted(loss, weight), reduction)


def multilabel_soft_margin_loss(
    input: Float[Array, "*batch classes"],
    target: Float[Array, "*batch classes"],
    *,
    weight: Broadcast | None = None,
    reduction: str = "mean",
) -> Loss:
    """Multi-label loss: the mean over the classes (last axis) of binary cross-entropy with logits.

    `weight` is broadcast to the input.

    Raises: ValueError if the shapes do not match, InputError for an unknown reduction.
    """
    loss = binary_cross_entropy_with_logits(input, target, weight=weight, reduction="none")
    return reduce(jnp.mean(loss, axis=-1), reduction)


def soft_margin_loss(input: Values, target: Num[Array, "*shape"], *, reduction: str = "mean") -> Loss:
    """Soft margin loss log(1 + exp(-target * input)) for targets 1 and -1; finite where PyTorch's overflows.

    Raises: ValueError if the shapes differ, InputError for an unknown reduction.
    """
    same_shape(input=input, target=target)
    return reduce(jax.nn.softplus(-target * input), reduction)


def multilabel_margin_loss(
    input: Float[Array, "*batch classes"], target: Int[Array | np.ndarray, "*batch classes"], *, reduction: str = "mean"
) -> Loss:
    """Multi-label hinge loss: the sum over target classes t and other classes i of max(0, 1 - input[t] + input[i]) /
    classes; slope 0 at the kink.

    target: the classes of an example come first, -1 ends them; entries after it are not read.
    Raises: ValueError if the shapes differ or, outside of `jax.jit`, if a target is neither a class nor -1;
    InputError for an unknown reduction.
    """
    same_shape(input=input, target=target)
    classes = input.shape[-1]
    refuse((target < -1) | (target >= classes), f"targets must be -1 or lie between 0 and {classes - 1}")
    listed = jnp.cumprod(target >= 0, axis=-1).astype(bool)
    labels = jnp.where(listed, target, 0)
    every_class = lax.broadcast_to_rank(jnp.arange(classes), labels.ndim + 1)
    is_target = jnp.any(listed[..., None] & (labels[..., None] == every_class), axis=-2)
    excess = jax.nn.relu(1 - jnp.take_along_axis(input, labels, axis=-1)[..., None] + input[..., None, :])
    pairs = listed[..., None] & ~is_target[..., None, :]
    return reduce(jnp.sum(jnp.where(pairs, excess, 0), axis=(-2, -1)) / classes, reduction)


@jax.custom_jvp
def _clamped_cross_entropy(p: Values, target: Values) -> Values:
    return (target - 1) * jnp.maximum(jnp.log1p(-p), -100) - target * jnp.maximum(jnp.log(p), -100)


@_clamped_cross_entropy.defjvp
def _clamped_cross_entropy_jvp(primals: tuple, tangents: tuple) -> tuple[Values, Values]:
    p, target = primals
    p_dot, target_dot = tangents
    by_p = (p - target) / jnp.maximum(p * (1 - p), LEAST_VARIANCE)
    by_target = jnp.maximum(jnp.log1p(-p), -100) - jnp.maximum(jnp.log(p), -100)
    return _clamped_cross_entropy(p, target), by_p * p_dot + by_target * target_dot
