"""Bugs in losses: PyTorch's is right, Flax's is another."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import torch
from jaxtyping import Array, Float, Int
from torch.nn import functional as F

from d2l_jax import losses
from d2l_jax.turns import Supervised
from parity.selftest.bug import Bug, Pair
from parity.selftest.pairs import COLUMN, SMALL
from parity.selftest.pairs.dense import small, torch_small

Scores = Float[Array, "batch classes"]
Labels = Int[Array, " batch"]
SMOOTHING = 0.1
IGNORED = 2
WEIGHTS = (0.2, 1.0, 3.0, 0.5)


def classes(name: str, flax: Callable, pytorch: Callable) -> Pair:
    return Pair(name, small, torch_small, (7, 5), labels=True, loss=(flax, pytorch))


def values(name: str, flax: Callable, pytorch: Callable) -> Pair:
    return Pair(name, small, torch_small, (6, 5), loss=(flax, pytorch))


def kl(x: Scores, y: Scores) -> Array:
    return losses.kl_div(jax.nn.log_softmax(x), jax.nn.softmax(y), reduction="batchmean")


def torch_kl(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.kl_div(F.log_softmax(x, 1), F.softmax(y, 1), reduction="batchmean")


def small_penalty(params: dict[str, Any]) -> Array:
    return jnp.asarray(1e-3 * sum(jnp.sum(p**2) for p in jax.tree.leaves(params)))


def wrong(loss: Callable) -> dict[str, Callable]:
    return {"objective": Supervised(loss)}


PLAIN = classes("cross-entropy", losses.cross_entropy, F.cross_entropy)
IGNORING = classes(
    "ignored targets",
    lambda x, y: losses.cross_entropy_loss(x, y, ignore_index=IGNORED),
    torch.nn.CrossEntropyLoss(ignore_index=IGNORED),
)
SMOOTHED = classes(
    "label smoothing",
    lambda x, y: losses.cross_entropy_loss(x, y, label_smoothing=SMOOTHING),
    torch.nn.CrossEntropyLoss(label_smoothing=SMOOTHING),
)
SQUARES = values("squares", losses.mse, F.mse_loss)
HUBER = values("smooth l1", losses.smooth_l1_loss, F.smooth_l1_loss)
KL = values("kl", kl, torch_kl)
WEIGHTED = classes(
    "class weights",
    lambda x, y: losses.cross_entropy_loss(x, y, weight=jnp.asarray(WEIGHTS, x.dtype)),
    lambda x, y: F.cross_entropy(x, y, weight=torch.tensor(WEIGHTS, dtype=x.dtype)),
)
LOSS_PAIRS = (PLAIN, IGNORING, SMOOTHED, SQUARES, HUBER, KL, WEIGHTED)


def summed(x: Scores, y: Labels) -> Array:
    return losses.cross_entropy(x, y) * len(y)


def over_all(x: Scores, y: Labels) -> Array:
    """The mean over all targets, of which some are ignored."""
    each = optax.softmax_cross_entropy_with_integer_labels(x, y)
    return jnp.where(y == IGNORED, 0, each).mean()


def plain_mean(x: Scores, y: Labels) -> Array:
    """The mean over the targets, not over their weights."""
    weights = jnp.asarray(WEIGHTS, x.dtype)[y]
    return (weights * optax.softmax_cross_entropy_with_integer_labels(x, y)).mean()


def with_floor(x: Scores, y: Labels) -> Array:
    """The logarithm of the softmax plus a small number."""
    return -jnp.log(jnp.take_along_axis(jax.nn.softmax(x), y[:, None], 1) + 1e-8).mean()


def softmax_twice(x: Scores, y: Labels) -> Array:
    return losses.cross_entropy(jax.nn.softmax(x), y)


def kl_exchanged(x: Scores, y: Scores) -> Array:
    p = jax.nn.log_softmax(x)
    q = jax.nn.log_softmax(y)
    return (jnp.exp(p) * (p - q)).sum(-1).mean()


def broadcast(x: Scores, y: Scores) -> Array:
    """Broadcasts (n, 1) - (n,): every prediction meets every target."""
    return ((x - y[:, 0]) ** 2).mean() / 2


BUGS = (
    Bug("sum for the mean", PLAIN, "loss", ("sum", "rows"), flax_turn=wrong(summed)),
    Bug("mean over ignored targets too", IGNORING, "loss", ("ignored-counted",), flax_turn=wrong(over_all)),
    Bug("class weights left out", WEIGHTED, "loss", ("class-weights",), flax_turn=wrong(losses.cross_entropy)),
    Bug("class weights with a plain mean", WEIGHTED, "loss", ("class-weights",), flax_turn=wrong(plain_mean)),
    Bug("labels not smoothed", SMOOTHED, "loss", ("label-smoothing", "cross-entropy"),
        flax_turn=wrong(losses.cross_entropy)),
    Bug("log(softmax + 1e-8)", PLAIN, "loss", ("log-eps",), flax_turn=wrong(with_floor)),
    Bug("softmax twice", PLAIN, "loss", ("softmax-twice",), flax_turn=wrong(softmax_twice)),
    Bug("squared error halved", SQUARES, "loss", ("half",), flax_turn=wrong(losses.half_mse)),
    Bug("Huber's delta 0.5", HUBER, "loss", ("huber", "smooth-l1", "beta"),
        flax_turn=wrong(lambda x, y: losses.huber_loss(x, y, delta=0.5))),
    Bug("KL divergence's arguments exchanged", KL, "loss", ("kl-order", "arguments-exchanged"),
        flax_turn=wrong(kl_exchanged)),
    Bug("KL divergence averaged over all entries", KL, "loss", ("per-row-mean", "classes-mean"),
        flax_turn=wrong(lambda x, y: kl(x, y) / x.shape[1])),
    Bug("(n,) against (n, 1)", COLUMN, "loss", ("broadcast",), flax_turn=wrong(broadcast)),
    Bug("penalty on one side", SMALL, "loss", ("penalty", "constant-term"), flax_turn={
        "objective": Supervised(losses.half_mse, small_penalty)
    }),
)  # fmt: skip
