"""`ctc_loss` against PyTorch's: alignments that fit, that just fit and that do not, in all layouts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jaxtyping import config as jaxtyping_config

from d2l_jax import losses
from parity.reference import losses as reference

# Sums of 23 logarithms of magnitude up to 60, in another order than PyTorch's; measured: 2e-15.
LIMIT = 1e-13
TIME = 23
CLASSES = 7
TARGETS = np.array([[1, 2, 3, 5, 6], [2, 2, 2, 5, 5], [3, 1, 3, 1, 3], [6, 6, 0, 0, 0], [0, 0, 0, 0, 0]])
TARGET_LENGTHS = np.array([5, 5, 3, 2, 0])
INPUT_LENGTHS = np.array([23, 8, 19, 3, 11])  # 8 and 3 are as long as the labels and the blanks between equal ones
TOO_SHORT = np.array([4, 23, 19, 2, 11])
NO_FRAME = np.array([0, 23, 19, 13, 0])


def logits(shape=(TIME, 5, CLASSES), scale=2):
    return np.random.default_rng(0).normal(size=shape) * scale


def cotangent(shape):
    return np.random.default_rng(1).normal(size=shape)


def ours(x, *args, dtype="float64", function=losses.ctc_loss, **options):
    def weighted_sum(x):
        loss = function(jax.nn.log_softmax(x), *map(jnp.asarray, args), **options)
        assert loss.dtype == dtype
        return jnp.sum(jnp.where(jnp.isinf(loss), 0, loss * cotangent(loss.shape).astype(dtype))), loss

    gradient, loss = jax.grad(weighted_sum, has_aux=True)(jnp.asarray(x, dtype))
    return np.asarray(loss), np.asarray(gradient)


def theirs(x, *args, dtype="float64", **options):
    x = torch.tensor(x, dtype=getattr(torch, dtype), requires_grad=True)
    loss = reference.ctc_loss(x.log_softmax(-1), *map(torch.as_tensor, args), **options)
    (loss * torch.tensor(cotangent(loss.shape), dtype=loss.dtype)).sum().backward()
    assert x.grad is not None
    return loss.detach().numpy(), x.grad.numpy()


def gap(left, right):
    for a, b in zip(left, right, strict=True):
        assert a.shape == b.shape and np.isfinite(a).all() and np.isfinite(b).all()
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(left, right))


def concatenated(targets, lengths):
    return np.concatenate([row[:length] for row, length in zip(targets, lengths)])


def call(layout, blank, input_lengths):
    """The arguments of one call; with another blank the classes are renumbered."""
    targets = (TARGETS + blank) % CLASSES
    if layout == "concatenated":
        targets = concatenated(targets, TARGET_LENGTHS)
    return logits(), targets, input_lengths, TARGET_LENGTHS


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("blank", [0, 4])
@pytest.mark.parametrize("layout", ["padded", "concatenated"])
def test_values_and_gradients(layout, blank, reduction):
    args = call(layout, blank, INPUT_LENGTHS)
    assert gap(*(f(*args, blank=blank, reduction=reduction) for f in (ours, theirs))) < LIMIT


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("lengths", [TOO_SHORT, NO_FRAME], ids=["too short", "no frame"])
def test_infinite_losses_can_be_left_out(lengths, reduction):
    args = call("padded", 0, lengths)
    assert gap(*(f(*args, zero_infinity=True, reduction=reduction) for f in (ours, theirs))) < LIMIT


def test_impossible_alignments_are_infinite():
    """Impossible alignments have gradient 0, where PyTorch's is NaN."""
    args = call("padded", 0, TOO_SHORT)
    (left, slope), (right, torch_slope) = (f(*args, reduction="none") for f in (ours, theirs))
    np.testing.assert_array_equal(np.isinf(left), [True, False, False, True, False])
    np.testing.assert_array_equal(np.isinf(right), np.isinf(left))
    possible = np.isfinite(left)
    assert gap([left[possible], slope[:, possible]], [right[possible], torch_slope[:, possible]]) < LIMIT
    assert (slope[:, ~possible] == 0).all() and np.isnan(torch_slope[:, ~possible]).any()


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_one_sequence(reduction):
    args = logits((TIME, CLASSES)), TARGETS[1], np.array(17), np.array(5)
    assert gap(*(f(*args, reduction=reduction) for f in (ours, theirs))) < LIMIT


def test_saturated_logits():
    """The gradient is exp of differences between numbers of magnitude 6e4, whose last digit is 7e-12."""
    args = logits(scale=1e4), *call("padded", 0, INPUT_LENGTHS)[1:]
    left = ours(*args)
    right = theirs(*args)
    assert gap(left[:1], right[:1]) < LIMIT
    assert gap(left, right) < 1e-10


@pytest.mark.slow
def test_float32_is_as_precise_as_in_pytorch():
    x, *args = call("padded", 0, INPUT_LENGTHS)
    x = x.astype("float32")
    exact = theirs(x, *args, reduction="none")
    for left, right, truth in zip(
        *(f(x, *args, dtype="float32", reduction="none") for f in (ours, theirs)), exact, strict=True
    ):
        limit = 3 * np.abs(right - truth).max() + 4 * np.finfo("float32").eps * np.abs(truth).max()
        assert np.abs(left - truth).max() <= limit


def test_what_is_not_read_does_not_matter():
    x, targets, *lengths = call("padded", 0, INPUT_LENGTHS)
    other = x.copy()
    padded = targets.copy()
    for n, (frames, labels) in enumerate(zip(*lengths)):
        other[frames:, n] = np.nan
        padded[n, labels:] = -100
    left = ours(other, padded, *lengths, reduction="none")
    right = ours(x, targets, *lengths, reduction="none")
    np.testing.assert_array_equal(left[0], right[0])
    read = np.isfinite(other)
    np.testing.assert_array_equal(left[1][read], right[1][read])


@pytest.mark.parametrize("layout", ["padded", "concatenated"])
def test_jitted_is_the_same(layout):
    args = call(layout, 0, INPUT_LENGTHS)
    assert gap(ours(*args, function=jax.jit(losses.ctc_loss)), theirs(*args)) < LIMIT


def test_the_gradient_before_the_log_softmax():
    """The gradient is the derivative; PyTorch's has exp(log_probs) more, which the log-softmax then takes away."""
    x, targets, lengths, target_lengths = call("padded", 0, np.full(5, TIME))
    log_probs = jax.nn.log_softmax(x)

    def loss(log_probs):
        return losses.ctc_loss(
            log_probs, jnp.asarray(targets), jnp.asarray(lengths), jnp.asarray(target_lengths), reduction="sum"
        )

    slope = np.asarray(jax.grad(loss)(log_probs))
    twin = torch.tensor(np.asarray(log_probs), requires_grad=True)
    reference.ctc_loss(twin, *map(torch.tensor, (targets, lengths, target_lengths)), reduction="sum").backward()
    assert twin.grad is not None
    assert np.abs(slope + np.exp(log_probs) - twin.grad.numpy()).max() < LIMIT
    assert np.abs(slope - twin.grad.numpy()).max() > 0.1
    direction = np.random.default_rng(2).normal(size=x.shape)
    step = 1e-6
    numeric = (loss(log_probs + step * direction) - loss(log_probs - step * direction)) / (2 * step)
    assert abs(numeric - np.sum(slope * direction)) < 1e-6


FRAMES = jnp.zeros((5, 2, 7))
LABELS = jnp.ones((2, 3), int)


@pytest.mark.parametrize(
    "args, options, message",
    [
        ((FRAMES, LABELS, (5, 5), (3, 3)), dict(blank=7), "blank must lie between 0 and 6"),
        ((FRAMES, LABELS, (5,), (3, 3)), {}, "both lengths must have shape (2,)"),
        ((FRAMES, LABELS, (6, 5), (3, 3)), {}, "must not exceed the 5 frames"),
        ((FRAMES, LABELS, (5, 5), (4, 3)), {}, "must not exceed 3"),
        ((FRAMES, LABELS[:1], (5, 5), (3, 3)), {}, "targets must have shape (2, longest)"),
        ((FRAMES, LABELS[0], (5, 5), (3, 3)), {}, "must add up to 3"),
        ((FRAMES, LABELS, (5, 5), (3, 3)), dict(reduction="batchmean"), "unknown reduction 'batchmean'"),
    ],
)
def test_wrong_calls_are_refused(args, options, message):
    jaxtyping_config.update("jaxtyping_disable", True)
    with pytest.raises(ValueError) as error:
        losses.ctc_loss(*args, **options)
    jaxtyping_config.update("jaxtyping_disable", False)
    assert message in str(error.value) and "\n" not in str(error.value)


def plain_mean(*args, **options):
    return jnp.mean(losses.ctc_loss(*args, reduction="none"))


def without_blanks_between(log_probs, targets, *lengths, **options):
    """Reads equal neighbours as one."""
    return losses.ctc_loss(log_probs, targets + jnp.where(targets == 2, jnp.arange(5), 0), *lengths)


def read_to_the_end(log_probs, targets, input_lengths, *lengths, **options):
    return losses.ctc_loss(log_probs, targets, jnp.full_like(input_lengths, TIME), *lengths)


@pytest.mark.parametrize("mistake", [plain_mean, without_blanks_between, read_to_the_end])
def test_control_a_mistake_is_noticed(mistake):
    args = call("padded", 0, INPUT_LENGTHS)
    assert gap(ours(*args, function=mistake), theirs(*args)) > 1e6 * LIMIT
