"""Convolutions of sequences in faster forms: values and gradients beside PyTorch's."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from lowered import close, value_and_gradients

from d2l_jax import nn
from d2l_jax.cpu import conv, conv_general_dilated, plain_lax

SHAPES = {  # steps, kernel, stride, padding, groups, channels, outputs, sequences
    "direct": (13, 4, 1, 0, 1, 9, 6, 3),
    "Winograd": (23, 3, 1, 0, 1, 24, 20, 5),
    "band": (11, 3, 2, 1, 1, 2, 5, 3),
    "one step": (7, 1, 1, 0, 1, 9, 4, 2),
    "groups": (9, 3, 2, 2, 3, 12, 6, 2),
    "depthwise": (9, 3, 1, 1, 6, 6, 6, 2),
    "as wide as the sequence": (5, 5, 1, 0, 1, 9, 4, 2),
}
shapes = pytest.mark.parametrize("name", SHAPES)


@shapes
def test_value_and_gradients_equal_those_of_pytorch(name: str):
    check(*SHAPES[name])


@shapes
def test_control_a_wrong_form_is_noticed(name: str, monkeypatch):
    right = conv._of_sequences
    monkeypatch.setattr(conv, "_of_sequences", lambda *args, **options: right(*args, **options) * (1 + 1e-9))
    with pytest.raises(AssertionError):
        check(*SHAPES[name])


def check(steps, kernel, stride, padding, groups, channels, outputs, sequences):
    random = np.random.default_rng(0)
    x = random.normal(size=(sequences, steps, channels))
    w = random.normal(size=(kernel, channels // groups, outputs))
    options = dict(window_strides=(stride,), padding=[(padding, padding)], feature_group_count=groups)
    options["dimension_numbers"] = ("NHC", "HIO", "NHC")
    function = jax.jit(partial(conv_general_dilated, **options))
    g = random.normal(size=jax.eval_shape(function, x, w).shape)
    theirs = partial(torch.nn.functional.conv1d, stride=stride, padding=padding, groups=groups)
    tx = torch.tensor(x.transpose(0, 2, 1), requires_grad=True)
    tw = torch.tensor(w.transpose(2, 1, 0), requires_grad=True)
    y = theirs(tx, tw)
    y.backward(torch.tensor(g.transpose(0, 2, 1)))
    expected = [t.detach().numpy() for t in (y, tx.grad, tw.grad)]  # type: ignore[union-attr]
    ours = value_and_gradients(function, jnp.asarray(x), jnp.asarray(w), jnp.asarray(g))
    for a, b in zip(ours, (expected[0].transpose(0, 2, 1), expected[1].transpose(0, 2, 1), expected[2].T)):
        close(np.asarray(a), b)


def test_the_layer_takes_the_form_and_the_switch_turns_it_off():
    layer = nn.Conv1d(9, 4, 3, padding=1, rngs=nnx.Rngs(0))
    x = jnp.ones((2, 7, 9), jnp.float32)
    assert layer(x).shape == (2, 7, 4)
    assert "platform_index" in str(jax.make_jaxpr(lambda x: layer(x))(x))
    with plain_lax():
        assert "platform_index" not in str(jax.make_jaxpr(lambda x: layer(x))(x))
