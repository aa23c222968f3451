"""Chapter 22: naive Bayes, and the quantities of information theory at their limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from d2l_jax.algorithms import information as info
from d2l_jax.algorithms import naive_bayes
from d2l_jax.errors import InputError


def test_estimates_by_hand():
    features = np.array([[[1, 0]], [[1, 1]], [[0, 0]]])
    model = naive_bayes.fit(features, np.array([0, 0, 1]), classes=2)
    np.testing.assert_allclose(model.P_y, [2 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(model.P_xy, [[[3 / 4, 2 / 4]], [[1 / 3, 1 / 3]]], rtol=1e-6)
    scores = naive_bayes.log_scores(model, jnp.asarray([[[1.0, 0.0]]]))
    np.testing.assert_allclose(scores, np.log([[2 / 3 * 3 / 4 * 1 / 2, 1 / 3 * 1 / 3 * 2 / 3]]), rtol=1e-5)


def test_scores_do_not_underflow():
    model = naive_bayes.NaiveBayes(jnp.asarray([0.5, 0.5]), jnp.full((2, 1000), 0.01))
    scores = naive_bayes.log_scores(model, jnp.ones((1, 1000)))
    assert np.isfinite(scores).all() and float(scores[0, 0]) < -4000


def test_bytes_become_bits():
    np.testing.assert_array_equal(naive_bayes.binarised(np.array([0, 127, 128, 255], np.uint8)), [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("features", "labels", "line"),
    [
        ([], [], "0 examples"),
        ([[1]], [0, 1], "1 examples and 2 labels"),
        ([[7]], [0], "features are 0 or 1"),
        ([[1]], [2], "labels are 0 to 1"),
        ([[1]], [-1], "labels are 0 to 1"),
    ],
)
def test_examples_that_are_none(features, labels, line):
    with pytest.raises(InputError, match=line):
        naive_bayes.fit(np.array(features), np.array(labels), classes=2)


def test_limits_at_zero():
    sure, coin = jnp.asarray([1.0, 0.0]), jnp.asarray([0.5, 0.5])
    assert float(info.entropy(sure)) == 0
    assert float(info.entropy(coin)) / info.BITS == pytest.approx(1)
    assert float(info.kl_divergence(sure, coin)) == pytest.approx(info.BITS)
    assert float(info.kl_divergence(coin, sure)) == np.inf
    assert float(info.cross_entropy(sure, coin)) == pytest.approx(info.BITS)
    assert float(info.cross_entropy(coin, sure)) == np.inf
    np.testing.assert_array_equal(info.self_information(jnp.asarray([0.0, 1.0])), [np.inf, 0])


@pytest.mark.slow
def test_of_independent_variables_one_tells_nothing_of_the_other():
    p, q = jnp.asarray([0.25, 0.75, 0.0]), jnp.asarray([0.5, 0.5])
    joint = p[:, None] * q[None]
    assert float(info.mutual_information(joint)) == pytest.approx(0, abs=1e-6)
    assert float(info.conditional_entropy(joint)) == pytest.approx(float(info.entropy(q)))
    told = jnp.diag(q)
    assert float(info.mutual_information(told)) == pytest.approx(info.BITS)
    assert float(info.conditional_entropy(told)) == 0


@pytest.mark.slow
def test_gradients_are_finite_where_an_outcome_is_impossible():
    q = jnp.asarray([0.5, 0.25, 0.25])
    for quantity in (info.cross_entropy, info.kl_divergence):
        assert np.isfinite(jax.grad(quantity, argnums=1)(jnp.asarray([0.5, 0.5, 0.0]), q)).all()
