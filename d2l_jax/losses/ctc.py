"""Connectionist temporal classification (Graves et al. 2006): the forward algorithm as one scan over time.

`optax.ctc_loss` gives an impossible alignment a loss of about 1e5; PyTorch's is infinite or, if asked for, 0.
"""

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from d2l_jax.losses.reduction import check_reduction, reduce, refuse

Loss = Float[Array, "..."]
Lengths = Int[Array, "..."] | tuple[int, ...] | list[int] | int


def ctc_loss(
    log_probs: Float[Array, "time *batch classes"],
    targets: Int[Array, "..."],
    input_lengths: Lengths,
    target_lengths: Lengths,
    *,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Loss:
    """CTC loss: -log of the probability of all alignments of `targets` with the frames (Graves et al. 2006).

    log_probs:      log-probabilities (time, batch, classes), as in PyTorch, or (time, classes) for one sequence
    targets:        labels without blanks, (batch, longest) padded with anything, or those of all sequences concatenated
    input_lengths:  frames of each sequence; frames after them are not read
    target_lengths: labels of each sequence
    blank:          the class that stands for no label
    reduction:      "mean" divides each loss by its number of labels (at least 1), then averages
    zero_infinity:  infinite losses, of targets that do not fit into the frames, count as 0, and so do their gradients

    The gradient is that of the formula. PyTorch's holds only if `log_probs` come from a log-softmax, through which both
    give the same; before it, PyTorch's is larger by exp(log_probs). An infinite loss has gradient 0; PyTorch's is NaN.
    Raises: ValueError if shapes do not match, `blank` is no class or, outside of `jax.jit`, a length is too large;
    InputError for an unknown reduction.
    """
    check_reduction(reduction)
    if log_probs.ndim == 2:
        lengths = (jnp.reshape(jnp.asarray(n), (1,)) for n in (input_lengths, target_lengths))
        options = dict(blank=blank, reduction=reduction, zero_infinity=zero_infinity)
        loss = ctc_loss(log_probs[:, None], targets[None], *lengths, **options)
        return loss[0] if reduction == "none" else loss
    input_lengths = jnp.asarray(input_lengths)
    target_lengths = jnp.asarray(target_lengths)
    _check(log_probs, targets, input_lengths, target_lengths, blank)
    if targets.ndim == 1:
        targets = _one_row_each(targets, target_lengths)
    loss = _negative_log_likelihood(log_probs, targets, input_lengths, target_lengths, blank)
    if zero_infinity:
        loss = jnp.where(jnp.isposinf(loss), 0, loss)
    return reduce(loss / jnp.maximum(target_lengths, 1).astype(loss.dtype) if reduction == "mean" else loss, reduction)


def _negative_log_likelihood(
    log_probs: Float[Array, "time batch classes"],
    targets: Int[Array, "batch longest"],
    input_lengths: Int[Array, " batch"],
    target_lengths: Int[Array, " batch"],
    blank: int,
) -> Float[Array, " batch"]:
    """The loss of each sequence by the forward algorithm.

    Symbols are the labels with a blank before, between and after them; alpha is the log-probability of ending at each.
    """
    batch, longest = targets.shape
    labels = jnp.where(jnp.arange(longest)[None] < target_lengths[:, None], targets, blank)
    symbols = jnp.full((batch, 2 * longest + 1), blank, labels.dtype).at[:, 1::2].set(labels)
    may_skip = symbols != _shifted(symbols, 2, blank)
    reads = (jnp.arange(len(log_probs))[:, None] < input_lengths[None])[..., None]
    emitted = jnp.where(reads, jnp.take_along_axis(log_probs, symbols[None], axis=-1), 0)

    def step(alpha: Array, frame: tuple[Array, Array]) -> tuple[Array, None]:
        read, log_p = frame
        two_back = jnp.where(may_skip, _shifted(alpha, 2, -jnp.inf), -jnp.inf)
        return jnp.where(read, _log_sum(alpha, _shifted(alpha, 1, -jnp.inf), two_back) + log_p, alpha), None

    # Before the first frame, all probability waits at the first blank.
    start = jnp.full(symbols.shape, -jnp.inf, log_probs.dtype).at[:, 0].set(0)
    alpha, _ = jax.lax.scan(step, start, (reads, emitted))
    last = 2 * target_lengths[:, None]
    ends_in_blank = jnp.take_along_axis(alpha, last, axis=1)[:, 0]
    ends_in_label = jnp.take_along_axis(alpha, jnp.maximum(last - 1, 0), axis=1)[:, 0]
    return -_log_sum(ends_in_blank, jnp.where(target_lengths > 0, ends_in_label, -jnp.inf))


def _one_row_each(targets: Int[Array, " total"], lengths: Int[Array, " batch"]) -> Int[Array, "batch longest"]:
    """The concatenated targets as (batch, longest); under `jax.jit`, which hides the lengths, longest is the total."""
    longest = len(targets) if isinstance(lengths, Tracer) else int(jnp.max(lengths, initial=0))
    starts = jnp.cumsum(lengths) - lengths
    return targets.at[starts[:, None] + jnp.arange(longest)[None]].get(mode="fill", fill_value=0)


def _shifted(x: Array, by: int, fill: float | int) -> Array:
    """The columns of `x` moved to the right by `by`, with `fill` before them."""
    return jnp.pad(x, ((0, 0), (by, 0)), constant_values=fill)[:, : x.shape[1]]


def _log_sum(*terms: Array) -> Array:
    """The log of the sum of exp(terms); where all terms are -inf so is the result, with gradient 0 instead of NaN."""
    top = jax.lax.stop_gradient(jnp.max(jnp.stack(terms), axis=0))
    top = jnp.where(jnp.isneginf(top), 0, top)
    total = sum((jnp.exp(term - top) for term in terms), jnp.zeros_like(top))
    nothing = total == 0
    return jnp.where(nothing, -jnp.inf, jnp.log(jnp.where(nothing, 1, total)) + top)


def _check(log_probs: Array, targets: Array, input_lengths: Array, target_lengths: Array, blank: int) -> None:
    frames, batch, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise ValueError(f"blank must lie between 0 and {classes - 1}, got {blank}")
    if input_lengths.shape != (batch,) or target_lengths.shape != (batch,):
        raise ValueError(
            f"both lengths must have shape ({batch},), got {input_lengths.shape} and {target_lengths.shape}"
        )
    if targets.ndim != 1 and (targets.ndim != 2 or len(targets) != batch):
        raise ValueError(f"targets must have shape ({batch}, longest) or (total,), got {targets.shape}")
    refuse(input_lengths > frames, f"input_lengths must not exceed the {frames} frames")
    if targets.ndim == 2:
        refuse(target_lengths > targets.shape[1], f"target_lengths must not exceed {targets.shape[1]}")
    else:
        refuse(jnp.sum(target_lengths) != len(targets), f"target_lengths must add up to {len(targets)}")
