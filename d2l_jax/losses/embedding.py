"""Losses of embeddings and rankings: two or three inputs are compared with each other."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from d2l_jax.losses.absolute import absolute
from d2l_jax.losses.reduction import reduce, same_shape

Loss = Float[Array, "..."]
Values = Float[Array, "*shape"]
Signs = Num[Array, "*shape"]
Vectors = Float[Array, "*batch features"]


def margin_ranking_loss(
    input1: Values, input2: Values, target: Signs, *, margin: float = 0.0, reduction: str = "mean"
) -> Loss:
    """Margin ranking loss max(0, margin - target * (input1 - input2)), where target 1 ranks input1 higher, -1 input2.

    Raises: ValueError if the shapes differ, InputError for an unknown reduction.
    """
    same_shape(input1=input1, input2=input2, target=target)
    return reduce(jax.nn.relu(-target * (input1 - input2) + margin), reduction)


def hinge_embedding_loss(input: Values, target: Signs, *, margin: float = 1.0, reduction: str = "mean") -> Loss:
    """Hinge embedding loss: `input`, a distance, where target is 1; max(0, margin - input) where target is -1.

    Source: Hadsell et al. 2006.

    Raises: ValueError if the shapes differ, InputError for an unknown reduction.
    """
    same_shape(input=input, target=target)
    apart = jnp.where(target != 1, jax.nn.relu(margin - input), 0)
    return reduce(apart + jnp.where(target != -1, input, 0), reduction)


def cosine_embedding_loss(
    input1: Vectors, input2: Vectors, target: Num[Array, "*batch"], *, margin: float = 0.0, reduction: str = "mean"
) -> Loss:
    """Cosine embedding loss: 1 - cos where target is 1, max(0, cos - margin) where target is -1.

    The cosine of input1 and input2 (*batch, features) is over the last axis; target is (*batch,).

    Raises: ValueError if the shapes do not match, InputError for an unknown reduction.
    """
    same_shape(input1=input1, input2=input2)
    if target.shape != input1.shape[:-1]:
        raise ValueError(f"target has shape {target.shape}; vectors {input1.shape} want {input1.shape[:-1]}")
    # 1e-12 in the squares, as PyTorch has it: the cosine with a zero vector is 0.
    squares = (jnp.sum(input1**2, axis=-1) + 1e-12) * (jnp.sum(input2**2, axis=-1) + 1e-12)
    cosine = jnp.sum(input1 * input2, axis=-1) / jnp.sqrt(squares)
    alike = jnp.where(target == 1, 1 - cosine, 0)
    return reduce(alike + jnp.where(target == -1, jax.nn.relu(cosine - margin), 0), reduction)


def triplet_margin_loss(
    anchor: Vectors,
    positive: Vectors,
    negative: Vectors,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Loss:
    """Triplet loss max(0, margin + d(anchor, positive) - d(anchor, negative)), with the p-norm as distance d.

    swap: replaces d(anchor, negative) by d(positive, negative) where that is smaller (Balntas et al. 2016).
    Raises: ValueError if the shapes differ or margin <= 0, InputError for an unknown reduction.
    """

    def distance(x: Vectors, y: Vectors) -> Float[Array, "*batch"]:
        return pairwise_distance(x, y, p=p, eps=eps)

    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap, reduction=reduction
    )


def triplet_margin_with_distance_loss(
    anchor: Values,
    positive: Values,
    negative: Values,
    *,
    distance_function: Callable[[Array, Array], Array] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Loss:
    """Triplet loss max(0, margin + d(anchor, positive) - d(anchor, negative)) with any function as distance d.

    distance_function: (x, y) -> distances; None takes `pairwise_distance`

    Raises: ValueError if the shapes differ or margin <= 0, InputError for an unknown reduction.
    """
    same_shape(anchor=anchor, positive=positive, negative=negative)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    distance = distance_function or pairwise_distance
    to_negative = distance(anchor, negative)
    if swap:
        to_negative = jnp.minimum(to_negative, distance(positive, negative))
    return reduce(jax.nn.relu(margin + distance(anchor, positive) - to_negative), reduction)


def pairwise_distance(x: Vectors, y: Vectors, *, p: float = 2.0, eps: float = 1e-6) -> Float[Array, "*batch"]:
    """Distance of vectors: the p-norm of x - y + eps over the last axis, as PyTorch's; slope 0 at distance 0.

    Raises: ValueError if the shapes differ or p < 0.
    """
    same_shape(x=x, y=y)
    if p < 0:
        raise ValueError(f"p must not be negative, got {p}")
    size = absolute(x - y + eps)
    if p == 0:
        return jnp.sum(size != 0, axis=-1).astype(size.dtype)
    if p == 1:
        return jnp.sum(size, axis=-1)
    if p == float("inf"):
        return jnp.max(size, axis=-1)
    return _power(jnp.sum(_power(size, p), axis=-1), 1 / p)


def _power(x: Float[Array, "*shape"], exponent: float) -> Float[Array, "*shape"]:
    """The power x**exponent for x >= 0, with slope 0 at 0 where the true slope may be infinite."""
    zero = x == 0
    safe = jnp.where(zero, 1, x)
    return jnp.where(zero, 0, jnp.sqrt(safe) if exponent == 0.5 else safe**exponent)
