"""Recurrent models: from scratch and the layers that compute the same, states that are carried on, both sides."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from jax import lax

import parity
import parity.reference as reference
from d2l_jax import functional, models, nn

LMS = (
    *("rnn_lm_scratch", "lstm_lm_scratch", "gru_lm_scratch", "stacked_rnn_lm_scratch"),
    *("rnn_lm", "lstm_lm", "gru_lm", "deep_gru_lm"),
)
RNNS = ("RNNScratch", "LSTMScratch", "GRUScratch", "BiRNNScratch", "RNN", "LSTM", "GRU", "BiGRU")
IDS = np.random.default_rng(0).integers(0, 11, (3, 8))
INPUTS = np.random.default_rng(0).normal(size=(6, 3, 5))


# Optimising the code would take most of the time.
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def pair(name: str, *args: int):
    """PyTorch's model and ours with its weights, biases that are not 0 included, in float64."""
    theirs = getattr(reference, name)(*args).double()
    torch.manual_seed(0)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    ours = getattr(models, name)(*args, rngs=nnx.Rngs(0))
    return theirs, parity.load_state_dict(ours, theirs.state_dict(), dtype=jnp.float64)


def assert_close(ours, theirs, rtol=1e-10):
    """Asserts that nested results of either framework are close."""
    arrays = jax.tree.leaves(ours)
    expected = jax.tree.leaves(theirs)
    assert len(arrays) == len(expected) > 0
    for one, other in zip(arrays, expected):
        other = other.detach().numpy() if isinstance(other, torch.Tensor) else other
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-13)


@pytest.mark.parametrize("name", LMS)
def test_a_run_goes_on_from_the_state_of_the_one_before(name):
    theirs, ours = pair(name, 11, 7)
    run = jit(ours.run)
    halves = (IDS[:, :4], IDS[:, 4:])
    first, state = run(halves[0])
    second, last = run(halves[1], state)
    assert_close((jnp.concatenate([first, second], 1), last), run(IDS))
    assert not np.allclose(second, run(halves[1])[0])  # the control: from a state of 0
    expected, their_state = theirs.run(torch.tensor(halves[0]))
    assert_close((first, state), (expected, their_state))
    assert_close((second, last), theirs.run(torch.tensor(halves[1]), their_state))


@pytest.mark.parametrize("name", LMS)
def test_a_run_of_one_token_at_a_time_is_a_scan(name):
    model = getattr(models, name)(11, 7, rngs=nnx.Rngs(0))
    run, params, buffers = functional(model, lambda model, ids, state: model.run(ids, state))

    @jit
    def spelt(params, ids):
        def step(state, tokens):
            (logits, state), _ = run(params, buffers, tokens[:, None], state)
            return state, logits[:, 0]

        (_, state), _ = run(params, buffers, ids[:, :1], None)
        return lax.scan(step, state, ids[:, 1:].T)[1]

    whole = jit(functional(model).apply)(params, buffers, jnp.asarray(IDS))[0]
    assert_close(spelt(params, jnp.asarray(IDS)).swapaxes(0, 1), whole[:, 1:], rtol=1e-4)


@pytest.mark.parametrize("name", RNNS)
def test_a_first_state_is_read_on_both_sides(name):
    theirs, ours = pair(name, 5, 7)
    _, state = theirs(torch.tensor(INPUTS[::-1].copy()))
    first_state = jax.tree.map(lambda tensor: jnp.asarray(tensor.detach().numpy()), state)
    run = jit(ours)
    results = run(INPUTS, first_state)
    assert_close(results, theirs(torch.tensor(INPUTS), state))
    assert not np.allclose(results[0], run(INPUTS)[0])


# Each from scratch is one of PyTorch's layers, whose second bias is 0; GRUScratch is none.
def plain(weights: dict, prefix: str, suffix: str) -> dict:
    return {
        f"weight_ih_{suffix}": weights[f"{prefix}W_xh"].T,
        f"weight_hh_{suffix}": weights[f"{prefix}W_hh"].T,
        f"bias_ih_{suffix}": weights[f"{prefix}b_h"],
        f"bias_hh_{suffix}": torch.zeros(7),
    }


def gates(weights: dict, order: str) -> dict:
    join = lambda name: torch.cat([weights[name + gate].T for gate in order])  # noqa: E731
    bias = torch.cat([weights[f"b_{gate}"] for gate in order])
    return {"weight_ih_l0": join("W_x"), "weight_hh_l0": join("W_h"), "bias_ih_l0": bias, "bias_hh_l0": 0 * bias}


LAYERS = {
    "RNNScratch": (torch.nn.RNN(5, 7), lambda w: plain(w, "", "l0")),
    "LSTMScratch": (torch.nn.LSTM(5, 7), lambda w: gates(w, "ifco")),
    "StackedRNNScratch": (
        torch.nn.RNN(5, 7, 3),
        lambda w: plain(w, "rnns.0.", "l0") | plain(w, "rnns.1.", "l1") | plain(w, "rnns.2.", "l2"),
    ),
    "BiRNNScratch": (
        torch.nn.RNN(5, 7, bidirectional=True),
        lambda w: plain(w, "f_rnn.", "l0") | plain(w, "b_rnn.", "l0_reverse"),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_from_scratch_is_the_layer(name):
    theirs, ours = pair(name, 5, 7, *([3] if name.startswith("Stacked") else []))
    layer, convert = LAYERS[name]
    layer.double().load_state_dict(convert(theirs.state_dict()))
    expected, last = layer(torch.tensor(INPUTS))
    outputs, state = jit(ours)(INPUTS)
    assert_close(outputs, expected)
    assert_close(jnp.stack(jax.tree.leaves(state)), torch.cat(jax.tree.leaves(last)))


def test_the_gru_from_scratch_is_not_the_layer():
    theirs, ours = pair("GRUScratch", 5, 7)
    layer = torch.nn.GRU(5, 7).double()
    layer.load_state_dict(gates(theirs.state_dict(), "rzh"))
    outputs = ours(jnp.asarray(INPUTS))[0]
    expected = layer(torch.tensor(INPUTS))[0].detach().numpy()
    assert not np.allclose(outputs, expected, atol=1e-3)
    # Where nothing is reset before the last product, both are one: R = 1.
    for side in (theirs, layer):
        for name, parameter in side.named_parameters():
            rows = {"b_r": slice(None), "bias_ih_l0": slice(7)}.get(name)
            if rows:
                parameter.data[rows] = 50.0
    ours = parity.load_state_dict(ours, theirs.state_dict())
    assert_close(ours(jnp.asarray(INPUTS))[0], layer(torch.tensor(INPUTS))[0])


@pytest.mark.parametrize("name", [name for name in LMS if name.endswith("scratch")])
def test_from_scratch_starts_small_and_without_bias(name):
    for key, value in parity.state_dict(getattr(models, name)(60, 50, rngs=nnx.Rngs(0))).items():
        if key.rpartition(".")[2].startswith("W"):
            assert value.std() == pytest.approx(0.01, rel=0.1)
            assert abs(value.mean()) < 0.001
        else:
            assert not value.any()


def test_the_head_takes_the_sigma_of_its_rnn():
    rnn = models.RNNScratch(20, 50, sigma=3.0, rngs=nnx.Rngs(0))
    assert models.RNNLMScratch(rnn, 20, rngs=nnx.Rngs(1)).W_hq[...].std() == pytest.approx(3.0, rel=0.1)


def test_the_head_fits_both_directions():
    for rnn in (models.BiGRU(11, 7, rngs=nnx.Rngs(0)), models.BiRNNScratch(11, 7, rngs=nnx.Rngs(0))):
        assert models.RNNLM(rnn, 11, rngs=nnx.Rngs(0))(jnp.asarray(IDS)).shape == (3, 8, 11)


def test_an_id_beyond_the_vocabulary_is_read_as_zeros():
    model = models.rnn_lm(11, 7, rngs=nnx.Rngs(0))
    expected = model.linear(model.rnn(jnp.zeros((8, 3, 11)))[0]).swapaxes(0, 1)
    assert_close(model(jnp.full((3, 8), 11)), expected, rtol=1e-5)


def test_layers_are_those_of_nn():
    for kind in ("RNN", "LSTM", "GRU"):
        layer = getattr(models, kind)(5, 7, rngs=nnx.Rngs(0)).rnn
        assert type(layer) is getattr(nn, kind)
