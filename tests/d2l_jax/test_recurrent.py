"""`nn.RNN`, `nn.LSTM` and `nn.GRU` against PyTorch's: outputs, states, gradients, lengths, dropout and bad calls."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from recurrent_pair import KINDS, pair
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import parity
from d2l_jax import functional, nn
from d2l_jax.cpu.thresholds import LSTM_HIDDEN
from d2l_jax.nn.recurrent import layers
from d2l_jax.nn.recurrent.steps import Weights

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
    packed = x if lengths is None else pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    outputs, last = layer(packed, first)
    if lengths is not None:
        outputs = pad_packed_sequence(outputs, total_length=len(inputs))[0]
    results = [outputs, *jax.tree.leaves(last)]
    variables = [x, *jax.tree.leaves(first), *layer.parameters()]
    pulls = [torch.tensor(p) for p in (pulled, *jax.tree.leaves(pulled_state))]
    grads = torch.autograd.grad(results, variables, pulls)
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
    arguments = inputs, state, lengths, *pulls
    assert_same(run_flax(ours, *arguments), run_torch(theirs, *arguments))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(sizes=SIZES, relu=st.booleans())
@pytest.mark.slow
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
    from_input = x @ weights.input + weights.input_bias[None]
    hidden = jnp.split(weights.hidden, 3, -1)
    x_r, x_z, x_n = jnp.split(from_input, 3, -1)
    b_r, b_z, b_n = jnp.split(weights.hidden_bias[None], 3, -1)
    r = jax.nn.sigmoid(x_r + H @ hidden[0] + b_r)
    z = jax.nn.sigmoid(x_z + H @ hidden[1] + b_z)
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
