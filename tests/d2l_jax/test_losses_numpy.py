"""Losses of labels and weights as NumPy arrays, which is how data loaders give them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from d2l_jax import losses

SCORES = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
LABELS = np.array([0, 3, 1, 2, 2, 0])
WEIGHT = np.array([0.2, 1, 3, 0.5], np.float32)
OF_CLASSES = [losses.cross_entropy_loss, losses.nll_loss, losses.multi_margin_loss]


@pytest.mark.parametrize("loss", OF_CLASSES, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_labels_and_weights_of_numpy_count_as_those_of_jax(loss, dtype):
    expected = loss(jnp.asarray(SCORES), jnp.asarray(LABELS), weight=jnp.asarray(WEIGHT))
    assert loss(SCORES, LABELS.astype(dtype), weight=WEIGHT) == expected
    gradient = jax.jit(jax.grad(lambda x: loss(x, LABELS.astype(dtype), weight=WEIGHT)))(jnp.asarray(SCORES))
    assert np.isfinite(gradient).all() and np.any(gradient)


def test_an_unsigned_label_is_not_taken_for_the_ignored_one():
    """Takes labels of 8 bits without a sign, in which -100 would be 156."""
    scores = np.zeros((2, 200), np.float32)
    labels = np.array([156, 3], np.uint8)
    np.testing.assert_allclose(losses.cross_entropy_loss(scores, labels, reduction="none"), np.log(200), rtol=1e-6)


def test_labels_of_numpy_that_are_no_classes_are_refused_in_a_jitted_function_too():
    wrong = LABELS + 1
    with pytest.raises(ValueError, match="labels must lie between 0 and 3"):
        losses.cross_entropy_loss(SCORES, wrong)
    targets = np.array([[1, -1, 0, 2]] * 6)
    assert np.isfinite(jax.jit(lambda x: losses.multilabel_margin_loss(x, targets))(SCORES))
    with pytest.raises(ValueError):
        jax.jit(lambda x: losses.multilabel_margin_loss(x, targets + 9))(SCORES)
