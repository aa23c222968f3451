"""`nn.RNN`, `nn.LSTM` and `nn.GRU` against PyTorch's: outputs, states, gradients, lengths, dropout and bad calls."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import parity
from d2l_jax import eval_view, functional, nn, train_view
from d2l_jax.cpu.thresholds import LSTM_HIDDEN
from d2l_jax.errors import InputError
from d2l_jax.nn.recurrent import layers
from d2l_jax.nn.recurrent.steps import Weights
from parity.twin.draws_torch import without_cudnn_dropout

KINDS = ("RNN", "LSTM", "GRU")
Arrays = dict[str, np.ndarray]
SIZES = st.fixed_dictionaries(
    {
        **dict.fromkeys(("steps", "batch", "input_size", "hidden_size"), st.integers(1, 5)),
        "num_layers": st.integers(1, 3),
        **dict.fromkeys(("bias", "bidirectional", "starts", "ends"), st.booleans()),
        "seed": st.integers(0, 2**32 - 1),
    }
)
# Optimising the code would take most of the time.
jit = partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
)


def pair(kind: str, input_size: int, hidden_size: int, num_layers: int = 1, **options: Any):
    """PyTorch's layer and ours, with its weights, in float64."""
    theirs = getattr(torch.nn, kind)(input_size, hidden_size, num_layers, **options).double()
    ours = getattr(nn, kind)(input_size, hidden_size, num_layers, **options, rngs=nnx.Rngs(0))
    return theirs, parity.load_state_dict(ours, theirs.state_dict(), dtype=jnp.float64)


def numbers(random: np.random.Generator, theirs: torch.nn.RNNBase, steps: int, batch: int) -> tuple:
    """Inputs, a first state, and what the gradients of outputs and states shall be."""
    directions = 2 if theirs.bidirectional else 1
    rows = (theirs.num_layers * directions, batch, theirs.hidden_size)
    arrays = [random.normal(size=rows) for _ in range(4)]
    inputs = random.normal(size=(steps, batch, theirs.input_size))
    pulled = random.normal(size=(steps, batch, directions * theirs.hidden_size))
    if isinstance(theirs, torch.nn.LSTM):
        return inputs, tuple(arrays[:2]), pulled, tuple(arrays[2:])
    return inputs, arrays[0], pulled, arrays[2]


def run_torch(layer: torch.nn.RNNBase, inputs, state, lengths, pulled, pulled_state) -> list[np.ndarray]:
    x = torch.tensor(inputs, requires_grad=True)
    first = jax.tree.map(lambda s: torch.tensor(s, requires_grad=True), state)
    given = x if lengths is None else pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    outputs, last = layer(given, first)
    if lengths is not None:
        outputs = pad_packed_sequence(outputs, total_length=len(inputs))[0]
    results = [outputs, *jax.tree.leaves(last)]
    wanted = [x, *jax.tree.leaves(first), *layer.parameters()]
    pulls = [torch.tensor(p) for p in (pulled, *jax.tree.leaves(pulled_state))]
    grads = torch.autograd.grad(results, wanted, pulls)
    return [array.detach().numpy() for array in (*results, *grads)]


def run_flax(layer: nnx.Module, inputs, state, lengths, pulled, pulled_state) -> list[np.ndarray]:
    apply, params, buffers = functional(layer)

    @jit
    def run(params, inputs, state, lengths, pulls):
        call = lambda params, x, first: apply(params, buffers, x, first, lengths)[0]  # noqa: E731
        results, pull = jax.vjp(call, params, inputs, state)
        grads, *others = pull(pulls)
        return *jax.tree.leaves(results), *jax.tree.leaves(others), *(grads[name] for name in names)

    names = list(parity.state_dict(layer))
    lengths = None if lengths is None else jnp.asarray(lengths)
    return [np.asarray(array) for array in run(params, inputs, state, lengths, (pulled, pulled_state))]


def assert_same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs):
        assert one.dtype == other.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def compare(kind: str, *, steps, batch, starts, ends, seed, **options) -> None:
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    theirs, ours = pair(kind, **options)
    inputs, state, *pulls = numbers(random, theirs, steps, batch)
    if not starts:
        state = jax.tree.map(np.zeros_like, state)
    lengths = random.integers(1, steps + 1, batch) if ends else None
    given = inputs, state, lengths, *pulls
    assert_same(run_flax(ours, *given), run_torch(theirs, *given))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(sizes=SIZES, relu=st.booleans())
def test_outputs_states_and_gradients_are_pytorchs(kind, sizes, relu):
    nonlinearity = {"nonlinearity": "relu"} if relu and kind == "RNN" else {}
    compare(kind, **sizes, **nonlinearity)


FULL = {"steps": 5, "batch": 3, "input_size": 2, "hidden_size": 4, "num_layers": 2, "bidirectional": True}
FULL |= {"starts": True, "ends": True, "seed": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_everything_at_once_is_pytorchs(kind):
    compare(kind, **FULL)


def test_wide_states_are_pytorchs():
    compare("LSTM", **FULL | {"hidden_size": LSTM_HIDDEN})


@pytest.mark.parametrize("kind", KINDS)
def test_forward_mode_is_reverse_mode(kind):
    layer = getattr(nn, kind)(2, 3, rngs=nnx.Rngs(0))
    curve = lambda x: jnp.sum(jnp.sin(layer(x)[0]))  # noqa: E731
    x, direction = np.random.default_rng(0).normal(size=(2, 5, 3, 2)).astype(np.float32)
    _, slope = jax.jvp(curve, (x,), (direction,))
    np.testing.assert_allclose(slope, jnp.sum(jax.grad(curve)(x) * direction), rtol=1e-5)


@pytest.mark.parametrize("hidden_size", [3, LSTM_HIDDEN])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_computes_no_product_of_a_step_again(kind, hidden_size):
    layer = getattr(nn, kind)(2, hidden_size, rngs=nnx.Rngs(0))
    graph, params = nnx.split(layer)
    gradient = jax.grad(lambda params, x: jnp.sum(nnx.merge(graph, params)(x)[0]))
    jaxpr = str(jax.make_jaxpr(gradient)(params, jnp.ones((5, 3, 2))))
    # forward, and in the backward loop one for each kernel and one for the state before
    assert jaxpr.count("dot_general[") == 2 + 3


def gates_exchanged(weights: Weights, x, state):
    order = lambda w: jnp.concatenate([jnp.split(w, 4, -1)[gate] for gate in (0, 1, 3, 2)], -1)  # noqa: E731
    return nn.lstm_step(Weights(*map(order, weights)), x, state)


def reset_before_the_product(weights: Weights, x, H):
    from_input, hidden = x @ weights.input + weights.input_bias, jnp.split(weights.hidden, 3, -1)
    (x_r, x_z, x_n), (b_r, b_z, b_n) = jnp.split(from_input, 3, -1), jnp.split(weights.hidden_bias, 3)
    r, z = jax.nn.sigmoid(x_r + H @ hidden[0] + b_r), jax.nn.sigmoid(x_z + H @ hidden[1] + b_z)
    n = jnp.tanh(x_n + (r * H) @ hidden[2] + b_n)
    return n + z * (H - n)


def one_bias(weights: Weights, x, H, activation):
    return nn.rnn_step(weights._replace(hidden_bias=0 * weights.hidden_bias), x, H, activation)


@pytest.mark.parametrize(
    ("kind", "step"),
    [("LSTM", gates_exchanged), ("GRU", reset_before_the_product), ("RNN", one_bias)],
)
def test_control_another_recurrence_is_seen(kind, step, monkeypatch):
    monkeypatch.setattr(layers, f"{kind.lower()}_step", step)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare(kind, **FULL)


@pytest.mark.parametrize("kind", KINDS)
def test_control_lengths_matter(kind):
    theirs, ours = pair(kind, 2, 3)
    inputs, state, *pulls = numbers(np.random.default_rng(0), theirs, 4, 2)
    expected = run_torch(theirs, inputs, state, np.array([4, 2]), *pulls)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_same(run_flax(ours, inputs, state, np.array([4, 3]), *pulls), expected)


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
    found = step(
        Weights(weights[0].T, weights[1].T, *weights[2:]), jnp.asarray(x[:, :3]), jax.tree.map(jnp.asarray, state)
    )
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("view", [train_view, eval_view])
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_between_layers_alone(kind, view):
    """A rate of 1 leaves nothing to chance: the second layer reads zeros, neither inputs nor outputs are dropped."""
    theirs, ours = pair(kind, 2, 3, 2, dropout=1.0)
    inputs = np.random.default_rng(0).normal(size=(4, 5, 2))
    with torch.no_grad():
        expected = theirs.train(view is train_view)(torch.tensor(inputs))
    found = view(ours)(jnp.asarray(inputs))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
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
    np.testing.assert_array_equal(outputs[:, :2], jax.jit(layer)(inputs, state)[0][:, :2])
    assert not outputs[:, 2].any()
    np.testing.assert_array_equal(H[:, 2], state[0][:, 2])


def test_lengths_that_are_known_are_checked_within_a_jitted_function():
    layer, lengths = nn.GRU(2, 3, rngs=nnx.Rngs(0)), jnp.array([4, 5])
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


@pytest.mark.parametrize(("given", "message"), BAD_CALLS)
def test_bad_calls(given, message):
    inputs, state, lengths = (*given, None, None)[:3]
    arrays = jnp.ones(inputs), state and jnp.ones(state), lengths and jnp.array(lengths)
    with pytest.raises(InputError) as raised:
        nn.RNN(2, 5, rngs=nnx.Rngs(0))(*arrays)
    assert str(raised.value) == message


def test_a_state_of_an_lstm_is_a_pair_of_equal_shapes():
    layer, H = nn.LSTM(2, 5, rngs=nnx.Rngs(0)), jnp.ones((1, 3, 5))
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
    "dropout, training, given", [(0.5, True, True), (0.5, False, True), (0.0, True, True), (0.5, True, False)]
)
def test_pytorchs_layers_leave_cudnn_where_it_would_hide_dropout(dropout, training, given, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "enabled", given)
    used, layer = [], without_cudnn_dropout(torch.nn.GRU(2, 3, num_layers=2, dropout=dropout).train(training))
    layer.register_forward_pre_hook(lambda *_: used.append(torch.backends.cudnn.enabled))
    layer(torch.zeros(1, 1, 2))
    with pytest.raises(RuntimeError):
        layer(torch.zeros(1, 1, 7))
    assert used == [given and not (dropout and training)] * 2
    assert torch.backends.cudnn.enabled == given
