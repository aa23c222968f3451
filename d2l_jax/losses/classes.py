"""Losses for one class among many. The classes are the LAST axis, where PyTorch has them second."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer

from d2l_jax.cpu import log_softmax
from d2l_jax.losses.reduction import check_reduction, reduce, refuse, same_shape, weighted

Loss = Float[Array, "..."]
Scores = Float[Array | np.ndarray, "*batch classes"]
LogProbabilities = Float[Array, "*batch classes"]
Labels = Integer[Array | np.ndarray, "*batch"]  # those of NumPy are as data loaders give them
ClassWeight = Float[Array | np.ndarray, " classes"]


def nll_loss(
    input: Scores,
    target: Labels,
    *,
    weight: ClassWeight | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Loss:
    """Negative log-likelihood -weight[target] * input[target] of log-probabilities (*batch, classes).

    target: integer labels (*batch,); examples whose label is `ignore_index` do not count.

    reduction: "mean" divides by the sum of the weights of the examples that count (NaN if there is none).
    Raises: ValueError if shapes do not match or, outside of `jax.jit`, for a label that is no class
    (inside, its loss is NaN); InputError for an unknown reduction.
    """
    check_reduction(reduction)
    loss, share = _nll(jnp.asarray(input), _labels(target), weight, ignore_index)
    return reduce(loss, reduction, jnp.sum(share))


def cross_entropy_loss(
    input: Scores,
    target: Labels | Scores,
    *,
    weight: ClassWeight | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Loss:
    """Softmax cross-entropy of logits (book, section 4.1); PyTorch's `cross_entropy` with all its options.

    target: integer labels (*batch,), or probabilities of the same shape as `input`. With labels "mean" is that of
            `nll_loss`; with probabilities it divides by the number of examples, whatever the weights.
    label_smoothing: share of the target that is spread evenly over all classes (Szegedy et al. 2016).
    Raises: as `nll_loss`; ValueError for a label_smoothing outside of [0, 1], or if probabilities come with an
    ignore_index that is a class.
    """
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie between 0 and 1, got {label_smoothing}")
    log_p = log_softmax(jnp.asarray(input))
    target = _labels(target)
    if jnp.issubdtype(target.dtype, jnp.floating):
        if ignore_index >= 0:
            raise ValueError(f"ignore_index {ignore_index} needs labels; the targets are probabilities")
        return reduce(_cross_entropy_of_shares(log_p, target, weight, label_smoothing), reduction)
    loss, share = _nll(log_p, target, weight, ignore_index)
    if label_smoothing:
        even = -jnp.sum(weighted(log_p, weight), axis=-1) / input.shape[-1]
        loss = (1 - label_smoothing) * loss + label_smoothing * jnp.where(target == ignore_index, 0, even)
    return reduce(loss, reduction, jnp.sum(share))


def multi_margin_loss(
    input: Scores,
    target: Labels,
    *,
    p: int = 1,
    margin: float = 1.0,
    weight: ClassWeight | None = None,
    reduction: str = "mean",
) -> Loss:
    """Multi-class hinge loss: the sum over wrong classes i of max(0, margin - input[target] + input[i])**p / classes
    (Weston and Watkins 1999); slope 0 at the kink. The weight is that of the target's class; "mean" ignores it.

    Raises: ValueError if shapes do not match, p is not 1 or 2, or, outside of `jax.jit`, a label is no class;
    InputError for an unknown reduction.
    """
    if p not in (1, 2):
        raise ValueError(f"p must be 1 or 2, got {p}")
    input = jnp.asarray(input)
    target = _labels(target)
    _check_labels(input, target, weight)
    excess = jax.nn.relu(margin - _pick(input, target)[..., None] + input) ** p
    others = lax.broadcast_to_rank(jnp.arange(input.shape[-1], dtype=target.dtype), input.ndim) != target[..., None]
    loss = jnp.sum(jnp.where(others, excess, 0), axis=-1) / input.shape[-1]
    return reduce(loss if weight is None else loss * _at(weight, target), reduction)


def _labels(target: Labels | Scores) -> Array:
    """Returns the targets as an array of JAX's; unsigned ones, which no -100 fits in, as int32."""
    target = jnp.asarray(target)
    return target.astype(jnp.int32) if jnp.issubdtype(target.dtype, jnp.unsignedinteger) else target


def _nll(
    log_p: LogProbabilities, target: Labels, weight: ClassWeight | None, ignore_index: int
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """The loss and the weight of each example, (*batch,); both are 0 where the example is ignored."""
    counts = target != ignore_index
    labels = jnp.where(counts, target, 0)
    _check_labels(log_p, labels, weight)
    share = jnp.where(counts, 1 if weight is None else _at(weight, labels), jnp.zeros((), log_p.dtype))
    return jnp.where(counts, -_pick(log_p, labels) * share, 0), share


def _cross_entropy_of_shares(
    log_p: LogProbabilities, target: Scores, weight: ClassWeight | None, label_smoothing: float
) -> Float[Array, "*batch"]:
    same_shape(input=log_p, target=target)
    if weight is not None:
        same_shape(weight=weight, classes=log_p.reshape(-1, log_p.shape[-1])[0])
    target = target * (1 - label_smoothing) + label_smoothing / log_p.shape[-1]
    return -jnp.sum(weighted(log_p * target, weight), axis=-1)


def _check_labels(input: Array, target: Array, weight: ClassWeight | None) -> None:
    classes = input.shape[-1]
    if target.shape != input.shape[:-1]:
        raise ValueError(
            f"labels have shape {target.shape}, but input {input.shape} (classes last) wants {input.shape[:-1]}"
        )
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"weight has shape {weight.shape}, but there are {classes} classes: ({classes},) is wanted")
    refuse((target < 0) | (target >= classes), f"labels must lie between 0 and {classes - 1}")


def _pick(scores: Scores, labels: Labels) -> Float[Array, "*batch"]:
    """The score of each label, scores[..., label]; NaN for a label that is no class, -1 included."""
    labels = jnp.where(labels < 0, scores.shape[-1], labels)
    return jnp.take_along_axis(scores, labels[..., None], axis=-1, mode="fill")[..., 0]


def _at(weight: ClassWeight, labels: Labels) -> Float[Array, "*batch"]:
    return jnp.asarray(weight).at[labels].get(mode="fill", fill_value=jnp.nan)
