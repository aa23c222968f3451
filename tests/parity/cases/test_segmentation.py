"""Segmentation beside PyTorch: the loss with pixels that do not count, and planted bugs (sections 14.10 and 14.11)."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from failing import failing, failing_after_all
from flax import nnx
from twins import in_jax, normal

from d2l_jax import losses, models, nn
from d2l_jax.catalog import get
from parity.reference import losses as torch_losses
from parity.twin.pairing import twin_of


@pytest.mark.slow
def test_the_loss_and_its_gradient_are_pytorchs():
    scores = normal(3, 4, 5, 7)
    labels = np.random.default_rng(0).integers(0, 7, (3, 4, 5))
    labels[0, :2] = labels[1] = 255
    ours, slope = jax.value_and_grad(losses.pixel_cross_entropy)(*in_jax(scores, labels))
    maps = torch.tensor(scores.transpose(0, 3, 1, 2), requires_grad=True)
    theirs = torch_losses.pixel_cross_entropy(maps, torch.tensor(labels))
    theirs.backward()
    assert float(ours) == pytest.approx(theirs.item(), rel=1e-12)
    np.testing.assert_allclose(slope, maps.grad.numpy().transpose(0, 2, 3, 1), atol=1e-15)
    assert not np.asarray(slope)[labels == 255].any()


class Turned(nn.ConvTranspose2d):
    def __call__(self, x):
        self.kernel.set_value(self.kernel[...][::-1])
        return super().__call__(x)


def transposed_conv(in_channels=20, out_channels=10, kernel_size=5, *, rngs, **options):
    return Turned(in_channels, out_channels, kernel_size, **options, rngs=rngs)


def test_control_a_kernel_upside_down_is_seen():
    assert isinstance(transposed_conv(rngs=nnx.Rngs(0)), nn.ConvTranspose2d)
    wrong = replace(get("transposed-conv"), model=transposed_conv, afterwards=None)
    assert "forward/output" in failing(twin_of(wrong, steps=1))


def pixel_cross_entropy(logits, y):  # the twin's is found by this name
    return losses.cross_entropy(logits[:, 1:], y[:, 1:])


@pytest.mark.slow
def test_control_a_loss_that_leaves_a_row_out_is_seen():
    wrong = get("fcn").with_loss(pixel_cross_entropy)
    first = failing(twin_of(wrong, steps=1))[0]
    assert first.endswith("/loss"), first
    assert models.fcn.__name__ == "fcn"


def counted(logits, y):
    return losses.pixel_cross_entropy(logits, jnp.where(y == 255, 0, y))


counted.__name__ = pixel_cross_entropy.__name__
PIXELS = replace(get("transposed-conv"), afterwards=None, labels=True, ignored=255)


@pytest.mark.parametrize(
    ("case", "seen"),
    [
        (PIXELS.with_loss(losses.pixel_cross_entropy), False),
        (PIXELS.with_loss(counted), True),
        (replace(PIXELS, ignored=None).with_loss(counted), False),  # it is these pixels that show it
    ],
    ids=["right", "counted", "none-drawn"],
)
def test_control_pixels_that_do_not_count_are_drawn_and_a_loss_that_counts_them_is_seen(case, seen):
    assert get("fcn").ignored == 255
    failed = (failing if seen else failing_after_all)(twin_of(case, steps=1))
    assert bool(failed) == seen and (not seen or failed[0].endswith("/loss")), failed
