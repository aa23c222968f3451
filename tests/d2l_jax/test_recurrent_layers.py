"""Recurrent layers beside their mathematics: parameters, single steps, dropout, dtypes, lengths and bad calls."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from recurrent_pair import KINDS, pair

import parity
from d2l_jax import eval_view, functional, nn, train_view
from d2l_jax.errors import InputError
from d2l_jax.nn.recurrent.steps import Weights
from parity.models.random_numbers_torch import without_cudnn_dropout


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_parameters_have_pytorchs_names_shapes_and_order(kind, options):
    theirs = getattr(torch.nn, kind)(3, 5, **options).state_dict()
    ours = parity.state_dict(getattr(nn, kind)(3, 5, **options, rngs=nnx.Rngs(0)))
    assert [(key, value.shape) for key, value in ours.items()] == [(k, tuple(v.shape)) for k, v in theirs.items()]


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_start_uniform(kind):
    bound = 1 / math.sqrt(50)
    for array in parity.state_dict(getattr(nn, kind)(40, 50, 2, rngs=nnx.Rngs(0))).values():
        assert array.dtype == np.float32
        assert np.abs(array).max() <= bound
        assert np.abs(array).max() > 0.9 * bound
        assert array.std() == pytest.approx(bound / math.sqrt(3), rel=0.25)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_is_that_of_pytorchs_cell(kind):
    cell = getattr(torch.nn, f"{kind}Cell")(3, 4).double()
    x, H, C = np.random.default_rng(0).normal(size=(3, 2, 4))
    weights = [p.detach().numpy() for p in cell.parameters()]
    state = (H, C) if kind == "LSTM" else H
    expected = cell(torch.tensor(x[:, :3]), jax.tree.map(torch.tensor, state))
    step = getattr(nn, f"{kind.lower()}_step")
    after = step(
        Weights(weights[0].T, weights[1].T, *weights[2:]), jnp.asarray(x[:, :3]), jax.tree.map(jnp.asarray, state)
    )
    for one, other in zip(jax.tree.leaves(after), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("view", [train_view, eval_view])
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_between_layers_alone(kind, view):
    """A rate of 1 leaves nothing to chance: the second layer reads zeros, neither inputs nor outputs are dropped."""
    theirs, ours = pair(kind, 2, 3, 2, dropout=1.0)
    inputs = np.random.default_rng(0).normal(size=(4, 5, 2))
    with torch.no_grad():
        expected = theirs.train(view is train_view)(torch.tensor(inputs))
    results = view(ours)(jnp.asarray(inputs))
    for one, other in zip(jax.tree.leaves(results), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-12, atol=1e-15)


def test_dropout_draws_anew_in_training_and_not_at_all_in_evaluation():
    layer = nn.GRU(2, 8, 2, dropout=0.5, rngs=nnx.Rngs(0))
    inputs = jnp.ones((3, 2, 2))
    apply, params, buffers = functional(train_view(layer))
    (first, _), after = apply(params, buffers, inputs)
    (second, _), _ = apply(params, after, inputs)
    assert not jnp.array_equal(first, second)
    evaluate = functional(eval_view(layer)).apply
    assert jnp.array_equal(evaluate(params, buffers, inputs)[0][0], evaluate(params, after, inputs)[0][0])


def test_only_dropout_needs_random_numbers():
    assert not functional(nn.GRU(2, 3, 2, rngs=nnx.Rngs(0))).buffers


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_tell_the_dtype(kind, dtype):
    apply, params, buffers = functional(getattr(nn, kind)(2, 3, rngs=nnx.Rngs(0)))
    params = jax.tree.map(lambda p: p.astype(dtype), params)
    results, _ = jax.eval_shape(apply, params, buffers, jax.ShapeDtypeStruct((4, 5, 2), jnp.float32))
    assert {array.dtype for array in jax.tree.leaves(results)} == {jnp.dtype(dtype)}


def test_lengths_that_are_traced_count_as_the_nearest_possible():
    layer = nn.LSTM(2, 3, rngs=nnx.Rngs(0))
    inputs = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3, 2)))
    state = jax.tree.map(lambda s: jnp.full(s, 0.5), ((1, 3, 3), (1, 3, 3)), is_leaf=lambda s: isinstance(s[0], int))
    outputs, (H, _) = jax.jit(layer)(inputs, state, jnp.array([9, 4, 0]))
    # Two programs: XLA may round the one otherwise than the other.
    np.testing.assert_allclose(outputs[:, :2], jax.jit(layer)(inputs, state)[0][:, :2], rtol=1e-6)
    assert not outputs[:, 2].any()
    np.testing.assert_array_equal(H[:, 2], state[0][:, 2])


def test_lengths_that_are_known_are_checked_within_a_jitted_function():
    layer = nn.GRU(2, 3, rngs=nnx.Rngs(0))
    lengths = jnp.array([4, 5])
    with pytest.raises(InputError, match="1 to 4"):
        jax.jit(lambda x: layer(x, None, lengths))(jnp.ones((4, 2, 2)))


BAD_CALLS = [
    (((4, 3, 7),), "RNN: inputs of shape (4, 3, 7) where (steps, batch, 2) is right"),
    (((4, 3, 2), (1, 4, 5)), "RNN: a state of shape (1, 4, 5) where (1, 3, 5) is right"),
    (((4, 3, 2), (2, 3, 5)), "RNN: a state of shape (2, 3, 5) where (1, 3, 5) is right"),
    (((4, 3, 2), None, [4, 4]), "seq_lengths of shape (2,) where (3,), the batch, is right"),
    (((4, 3, 2), None, [4, 0, 1]), "seq_lengths [4, 0, 1] where 1 to 4, the number of steps, is right"),
    (((4, 3, 2), None, [4, 5, 1]), "seq_lengths [4, 5, 1] where 1 to 4, the number of steps, is right"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_CALLS)
def test_bad_calls(arguments, message):
    inputs, state, lengths = (*arguments, None, None)[:3]
    arrays = jnp.ones(inputs), state and jnp.ones(state), lengths and jnp.array(lengths)
    with pytest.raises(InputError) as raised:
        nn.RNN(2, 5, rngs=nnx.Rngs(0))(*arrays)
    assert str(raised.value) == message


def test_a_state_of_an_lstm_is_a_pair_of_equal_shapes():
    layer = nn.LSTM(2, 5, rngs=nnx.Rngs(0))
    H = jnp.ones((1, 3, 5))
    with pytest.raises(InputError, match="LSTM: a state of shape .* where .*, .* is right"):
        layer(jnp.ones((4, 3, 2)), (H, H[:, :2]))


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("RNN", {"nonlinearity": "gelu"}, 'RNN: nonlinearity \'gelu\' where "tanh" or "relu" is right'),
        ("GRU", {"num_layers": 0}, "GRU: .*num_layers=0.* where sizes from 1"),
        ("LSTM", {"hidden_size": 0}, "LSTM: .*hidden_size=0"),
        ("GRU", {"dropout": 1.5}, "dropout=1.5 where .* a dropout from 0 to 1"),
    ],
)
def test_bad_arguments(kind, arguments, message):
    with pytest.raises(InputError, match=message):
        getattr(nn, kind)(**{"input_size": 2, "hidden_size": 3} | arguments, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    "dropout, training, enabled", [(0.5, True, True), (0.5, False, True), (0.0, True, True), (0.5, True, False)]
)
def test_pytorchs_layers_leave_cudnn_where_it_would_hide_dropout(dropout, training, enabled, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "enabled", enabled)
    used = []
    layer = without_cudnn_dropout(torch.nn.GRU(2, 3, num_layers=2, dropout=dropout).train(training))
    layer.register_forward_pre_hook(lambda *_: used.append(torch.backends.cudnn.enabled))
    layer(torch.zeros(1, 1, 2))
    with pytest.raises(RuntimeError):
        layer(torch.zeros(1, 1, 7))
    assert used == [enabled and not (dropout and training)] * 2
    assert torch.backends.cudnn.enabled == enabled
