"""Sections 11.2, 11.3, 11.5 and 11.6: the specification's values on both sides, and PyTorch's own attention."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from jaxtyping import config as jaxtyping_config
from twins import in_jax, in_torch, normal, twins

from d2l_jax import eval_view, functional, intermediates, models, train_view
from d2l_jax.errors import InputError
from parity import reference

SIDES = pytest.mark.parametrize(("room", "array"), [(models, jnp.asarray), (reference, torch.tensor)])
NAN = float("nan")
POOLED = {  # x = [0, 1, 2, 4], y = [0, 2, 1, 5] at [0.5, 3]
    "gaussian": (
        [1.004183, 2.875938],
        [[0.421877, 0.008171], [0.421877, 0.099547], [0.1552, 0.446141], [0.001046, 0.446141]],
    ),
    "boxcar": ([1.0, NAN], [[0.5, NAN], [0.5, NAN], [0.0, NAN], [0.0, NAN]]),
    "constant": ([2.0, 2.0], [[0.25, 0.25]] * 4),
    "epanechikov": ([1.0, NAN], [[0.5, NAN], [0.5, NAN], [0.0, NAN], [0.0, NAN]]),
}
ENCODED = [
    [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0],
    [0.841471, 0.540302, 0.099833, 0.995004, 0.01, 0.99995, 0.001, 1.0],
    [0.909297, -0.416147, 0.198669, 0.980067, 0.019999, 0.9998, 0.002, 0.999998],
    [0.14112, -0.989992, 0.29552, 0.955337, 0.029995, 0.99955, 0.003, 0.999996],
]


def kernel(room, name):
    return room.gaussian() if name == "gaussian" else getattr(room, name)


# Attention pooling
@SIDES
@pytest.mark.parametrize("name", POOLED)
def test_nadaraya_watson(room, array, name):
    x = array([0.0, 1.0, 2.0, 4.0])
    y = array([0.0, 2.0, 1.0, 5.0])
    at = array([0.5, 3.0])
    estimates, weights = room.nadaraya_watson(x, y, at, kernel(room, name))
    np.testing.assert_allclose(estimates, POOLED[name][0], atol=1e-6)
    np.testing.assert_allclose(weights, POOLED[name][1], atol=1e-6)


@pytest.mark.parametrize("name", POOLED)
def test_pooling_is_the_twins(name):
    arrays = normal(9), normal(9, seed=1), normal(5)
    ours = models.nadaraya_watson(*in_jax(*arrays), kernel(models, name))
    theirs = reference.nadaraya_watson(*in_torch(*arrays), kernel(reference, name))
    for left, right in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-13)


@SIDES
def test_kernels(room, array):
    u = array([-2.0, -0.5, 0.0, 1.0])
    np.testing.assert_allclose(room.gaussian(0.5)(u), np.exp([-8.0, -0.5, 0.0, -2.0]), rtol=1e-6)
    np.testing.assert_allclose(room.epanechikov(u), [0, 0.5, 1, 0])
    np.testing.assert_allclose(room.epanechikov(u, corrected=True), [0, 0.5625, 0.75, 0])
    np.testing.assert_allclose(room.boxcar(u), [0, 1, 1, 0])


@pytest.fixture
def unchecked_shapes():
    """Turns the shape checks off, as they are outside of the tests."""
    jaxtyping_config.update("jaxtyping_disable", True)
    yield
    jaxtyping_config.update("jaxtyping_disable", False)


def test_pooling_refuses_bad_input(unchecked_shapes):
    with pytest.raises(InputError, match="sigma is 0"):
        models.gaussian(0)
    with pytest.raises(InputError, match="3 inputs for 2 targets"):
        models.nadaraya_watson(jnp.ones(3), jnp.ones(2), jnp.ones(1), models.constant)


# Masked softmax
@SIDES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_masked_softmax(room, array, dtype):
    X = array(np.ones((2, 2, 4), dtype))
    third = [1 / 3, 1 / 3, 1 / 3, 0]
    half = [0.5, 0.5, 0, 0]
    by_example, by_query = (room.masked_softmax(X, array(lens)) for lens in ([2, 3], [[1, 3], [2, 4]]))
    np.testing.assert_allclose(by_example, [[half, half], [third, third]], rtol=1e-6)
    np.testing.assert_allclose(by_query, [[[1, 0, 0, 0], third], [half, [0.25] * 4]], rtol=1e-6)
    assert str(by_query.dtype).endswith(dtype)
    np.testing.assert_array_equal(X, np.ones((2, 2, 4)))


@SIDES
def test_all_weights_are_equal_where_the_valid_length_is_0(room, array):
    X = array(normal(1, 2, 4))
    np.testing.assert_array_equal(room.masked_softmax(X, array([0])), np.full((1, 2, 4), 0.25))
    assert not np.allclose(room.masked_softmax(X, array([4])), 0.25)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 1), ()])
def test_valid_lengths_of_another_shape_are_refused(shape, unchecked_shapes):
    with pytest.raises(InputError, match=r"\(2,\) or \(2, 3\) is right"):
        models.masked_softmax(jnp.ones((2, 3, 4)), jnp.ones(shape, int))


# Scoring functions
@SIDES
def test_dot_product_attention(room, array):
    ones = np.ones((2, 10, 2))
    values = np.stack([np.arange(40.0).reshape(10, 4)] * 2)
    model = room.DotProductAttention(0.5, **({"rngs": nnx.Rngs(0)} if room is models else {}))
    args = array(ones[:, :1]), array(ones), array(values), array([2, 6])
    outputs = evaluated(model, *args) if room is models else model.eval()(*args)
    np.testing.assert_allclose(outputs, [[[2, 3, 4, 5]], [[10, 11, 12, 13]]], rtol=1e-6)


def evaluated(model, *inputs):
    apply, params, buffers = functional(eval_view(model))
    return jax.jit(apply)(params, buffers, *inputs)[0]


SCORING = [
    ("DotProductAttention", {"dropout": 0.5}, (2, 3, 6), (2, 5, 6)),
    ("AdditiveAttention", {"num_hiddens": 7, "dropout": 0.5, "query_size": 4, "key_size": 6}, (2, 3, 4), (2, 5, 6)),
    ("MultiHeadAttention", {"num_hiddens": 6, "num_heads": 3, "dropout": 0.5}, (2, 3, 6), (2, 5, 6)),
]


@pytest.mark.parametrize(("name", "args", "queries", "keys"), SCORING)
def test_weights_are_kept_before_dropout(name, args, queries, keys):
    ours, theirs = twins(name, **args)
    arrays = normal(*queries), normal(*keys), normal(2, 5, 6, seed=1), np.array([2, 4])
    apply, params, buffers = intermediates(train_view(ours))
    _, sown = jax.jit(apply)(params, buffers, *in_jax(*arrays))
    theirs(*in_torch(*arrays))
    heads = name == "MultiHeadAttention"
    (weights,) = (sown["attention"] if heads else sown)["attention_weights"]
    expected = (theirs.attention if heads else theirs).attention_weights
    np.testing.assert_allclose(weights, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-12)


@pytest.mark.parametrize(("name", "args", "queries", "keys"), SCORING)
def test_what_lies_behind_the_valid_length_does_not_count(name, args, queries, keys):
    ours, _ = twins(name, **args)
    Q, K, V = in_jax(normal(*queries), normal(*keys), normal(2, 5, 6, seed=1))
    run = lambda K, V: evaluated(ours, Q, K, V, jnp.array([2, 4]))  # noqa: E731
    outputs = run(K, V)
    np.testing.assert_array_equal(run(K.at[:, 4].set(9), V.at[:, 4].set(9)), outputs)
    changed = run(K, V.at[:, 3].set(9))
    np.testing.assert_array_equal(changed[0], outputs[0])
    assert not np.allclose(changed[1], outputs[1])


# Positional encoding
def test_positional_encoding():
    ours, theirs = twins("PositionalEncoding", num_hiddens=8, dropout=0.3)
    np.testing.assert_allclose(ours.P[0, :4], ENCODED, atol=1e-6)
    np.testing.assert_allclose(ours.P, theirs.P, rtol=0, atol=1e-13)
    X = jnp.asarray(normal(2, 4, 8))
    np.testing.assert_allclose(evaluated(ours, X) - X, [ENCODED] * 2, atol=1e-6)
    assert not theirs.state_dict() and not functional(ours).params


def test_positions_continue_from_an_offset():
    ours, theirs = twins("PositionalEncoding", num_hiddens=6, dropout=0.0, max_len=9)
    X = normal(2, 4, 6)
    expected = theirs(*in_torch(X), 5)
    apply, params, buffers = functional(ours)
    for offset in (5, jnp.array(5)):
        np.testing.assert_allclose(jax.jit(apply)(params, buffers, *in_jax(X), offset)[0], expected, atol=1e-14)
    assert not np.allclose(evaluated(ours, *in_jax(X)), expected)


def test_positional_encoding_refuses_bad_input():
    with pytest.raises(InputError, match="7 units"):
        models.PositionalEncoding(7, 0.0, rngs=nnx.Rngs(0))
    model = models.PositionalEncoding(8, 0.0, max_len=5, rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match="6 steps.*max_len=5"):
        model(jnp.ones((1, 6, 8)))
    with pytest.raises(InputError, match="7 steps.*max_len=5"):
        model(jnp.ones((1, 4, 8)), 3)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_the_table_takes_the_precision_of_the_input(dtype):
    model = models.PositionalEncoding(8, 0.0, rngs=nnx.Rngs(0))
    assert model(jnp.zeros((1, 3, 8), dtype)).dtype == dtype
