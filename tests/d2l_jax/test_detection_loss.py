"""TinySSD's loss with its options and its metrics: the specification's numbers, PyTorch's values and gradients."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from d2l_jax import losses
from d2l_jax.metrics import BOXES, measured
from parity.reference import losses as torch_losses

GOLDEN = json.loads((Path(__file__).parent / "facts" / "golden.json").read_text())
OPTIONS = [{}, {"sigma": 1.0}, {"gamma": 2.0}, {"negatives": 3.0}, {"sigma": 0.5, "gamma": 1.0, "negatives": 1.5}]


@pytest.mark.parametrize(("room", "array"), [(losses, jnp.asarray), (torch_losses, torch.tensor)])
def test_smooth_l1_and_focal_loss(room, array):
    x = array(np.array([-2, -0.5, 0, 0.05, 1]))
    smooth = [room.smooth_l1(x, sigma).tolist() for sigma in (10.0, 1.0, 0.5)]
    np.testing.assert_allclose(smooth, GOLDEN["smooth_l1 x=[-2,-.5,0,.05,1] sigma 10,1,.5"], rtol=0, atol=6e-7)
    p = array(np.array([0.1, 0.5, 0.9]))
    focal = [room.focal_loss(p, gamma).tolist() for gamma in (0.0, 1.0, 5.0)]
    np.testing.assert_allclose(focal, GOLDEN["focal_loss x=[.1,.5,.9] gamma 0,1,5"], rtol=0, atol=6e-7)


def predictions(random: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Draws scores (3, 11, 4), offsets (3, 44), classes, true offsets and masks; one image has no object."""
    classes = random.integers(0, 4, (3, 11)) * (random.random((3, 11)) < 0.3)
    classes[1] = 0
    masks = np.repeat(classes > 0, 4, 1).astype(np.float64)
    offsets, true_offsets = random.normal(size=(2, 3, 44))
    return random.normal(size=(3, 11, 4)), offsets, classes, true_offsets * masks, masks


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_loss_and_its_gradient_are_pytorchs(options):
    arrays = predictions(np.random.default_rng(0))
    ours = jax.jit(jax.value_and_grad(lambda *given: losses.detection_loss(*given, **options), argnums=(0, 1)))
    value, gradients = ours(*map(jnp.asarray, arrays))
    tensors = [torch.tensor(array) for array in arrays]
    inputs = [tensor.requires_grad_() for tensor in tensors[:2]]
    loss = torch_losses.detection_loss(*tensors, **options)
    loss.backward()
    np.testing.assert_allclose(value, loss.item(), rtol=1e-13)
    for gradient, tensor in zip(gradients, inputs, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad, rtol=1e-11, atol=1e-16)


def test_control_every_option_changes_the_loss():
    arrays = predictions(np.random.default_rng(0))
    values = [float(losses.detection_loss(*map(jnp.asarray, arrays), **options)) for options in OPTIONS]
    assert len({round(value, 9) for value in values}) == len(OPTIONS)


def test_mined_negatives_are_the_hardest():
    scores = jnp.log(jnp.array([[[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.3, 0.7]]]))
    nothing = jnp.zeros((1, 16))
    classes = jnp.array([[0, 1, 0, 0]])
    loss = losses.detection_loss(scores, nothing, classes, nothing, nothing, negatives=1.0)
    assert float(loss) == pytest.approx(-(np.log(0.8) + np.log(0.3)) / 2, rel=1e-6)  # of the object, and the hardest


def test_the_metrics_are_the_books():
    scores, offsets, classes, true_offsets, masks = predictions(np.random.default_rng(1))
    names = {"scores": scores, "offsets": offsets, "classes": classes, "true_offsets": true_offsets, "masks": masks}
    figures = measured(BOXES, {name: jnp.asarray(array) for name, array in names.items()})
    wrong, count = figures["class_error"]
    assert int(count) == 33 and int(wrong) == (scores.argmax(-1) != classes).sum() > 0
    error, count = figures["bbox_mae"]
    np.testing.assert_allclose(error / count, np.abs((true_offsets - offsets) * masks).sum() / 132, rtol=1e-12)
