"""The models of chapter 16: convolutions of sequences, the two ends of a text, padding, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from d2l_jax import eval_view, models
from d2l_jax.errors import InputError


def test_corr1d_of_the_book():
    np.testing.assert_allclose(models.corr1d(jnp.arange(7.0), jnp.array([1.0, 2.0])), [2, 5, 8, 11, 14, 17])
    X = jnp.arange(7.0)[None] + jnp.arange(3.0)[:, None]
    K = jnp.array([[1.0, 2.0], [3.0, 4.0], [-1.0, -3.0]])
    np.testing.assert_allclose(models.corr1d_multi_in(X, K), [2, 8, 14, 20, 26, 32])


def birnn() -> nnx.Module:
    return eval_view(models.BiRNN(11, 4, 5, 2, rngs=nnx.Rngs(0)))


@pytest.mark.slow
def test_a_birnn_reads_both_ends_and_padding_is_a_word():
    model = birnn()
    tokens = jnp.array([[1, 2, 3, 4, 0, 0]])
    scores = model(tokens)
    assert scores.shape == (1, 2)
    for place in (0, 3, 5):
        assert not np.allclose(model(tokens.at[0, place].set(7)), scores)
    assert model(tokens[:, :1]).shape == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("second_edition", [False, True])
def test_a_text_cnn_pools_by_mean_or_maximum(second_edition: bool):
    model = models.TextCNN(11, 4, (1, 3), (5, 6), second_edition=second_edition, rngs=nnx.Rngs(0))
    model = eval_view(model)
    word = jnp.full((1, 4), 3)
    np.testing.assert_allclose(model(word), model(jnp.full((1, 9), 3)), rtol=1e-5)  # as any pooling over equal steps
    same = np.allclose(model(jnp.array([[3, 3, 3, 5, 5, 5]])), model(jnp.array([[3, 3, 3, 3, 5, 5, 5]])))
    assert same == second_edition  # a further step changes a mean and no maximum
    with pytest.raises(InputError, match="2 steps where 3"):
        model(word[:, :2])
    with pytest.raises(InputError, match="kernels"):
        models.TextCNN(11, 4, (1, 3), (5,), rngs=nnx.Rngs(0))


@pytest.mark.slow
@pytest.mark.parametrize("pad", [None, 1])
def test_padding_counts_unless_it_is_masked(pad: int | None):
    model = eval_view(models.DecomposableAttention(11, 4, 5, 4, 8, 10, pad=pad, rngs=nnx.Rngs(0)))
    A = jnp.array([[3, 4, 5]])
    B = jnp.array([[6, 7]])
    padded = model(jnp.pad(A, ((0, 0), (0, 2)), constant_values=1), jnp.pad(B, ((0, 0), (0, 3)), constant_values=1))
    assert np.allclose(padded, model(A, B), rtol=1e-5) == (pad is not None)
    nothing = model(jnp.full((1, 3), 1), B)
    assert np.isfinite(nothing).all()
