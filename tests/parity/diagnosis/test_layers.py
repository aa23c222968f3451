"""Layers: what Flax's own layers do, with their own defaults, is named by the convention."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from planting import first, jnp_, last, named, normal, seeded
from torch import nn

from parity.blame.diagnosis.altered.recurrent import reset_before


def test_layer_norm_has_another_default_eps():
    for size in (7, 6):
        x = normal(size, 6)
        norm = seeded(nn.LayerNorm(6))
        flax = nnx.LayerNorm(6, param_dtype=jnp.float64, use_fast_variance=False, rngs=nnx.Rngs(0))
        flax.scale[...] = jnp_(norm.weight)
        flax.bias[...] = jnp_(norm.bias)
        cause = named(norm, x, np.asarray(flax(x)))
        assert cause is not None and cause.name == "eps", cause
        assert cause.text == "Flax computes with eps=1e-06 where PyTorch has 1e-05"
        assert cause.residual < 1e-9


def test_group_norm_has_another_default_eps():
    x = normal(2, 6, 3, 5)
    norm = seeded(nn.GroupNorm(3, 6))
    flax = nnx.GroupNorm(6, 3, param_dtype=jnp.float64, use_fast_variance=False, rngs=nnx.Rngs(0))
    flax.scale[...] = jnp_(norm.weight)
    flax.bias[...] = jnp_(norm.bias)
    cause = named(norm, x, first(flax(last(x))))
    assert cause is not None and cause.name == "eps", cause


def batch_norm(norm, **options):
    flax = nnx.BatchNorm(
        norm.num_features, param_dtype=jnp.float64, use_fast_variance=False, rngs=nnx.Rngs(0), **options
    )
    flax.scale[...] = jnp_(norm.weight)
    flax.bias[...] = jnp_(norm.bias)
    flax.mean = nnx.BatchStat(jnp_(norm.running_mean))
    flax.var = nnx.BatchStat(jnp_(norm.running_var))
    return flax


def test_batch_norm_has_another_momentum_and_a_biased_variance():
    x = normal(2, 3, 5, 7)
    norm = seeded(nn.BatchNorm2d(3))
    flax = batch_norm(norm)
    y = first(flax(last(x)))
    buffers = {"running_mean": np.asarray(flax.mean[...]), "running_var": np.asarray(flax.var[...])}
    cause = named(norm, x, y, training=True, flax_buffers=buffers)
    assert cause is not None and cause.name == "biased-variance+momentum", cause
    flax = batch_norm(norm, momentum=0.9)
    y = first(flax(last(x)))
    buffers = {"running_mean": np.asarray(flax.mean[...]), "running_var": np.asarray(flax.var[...])}
    cause = named(norm, x, y, training=True, flax_buffers=buffers)
    assert cause is not None and cause.name == "biased-variance", cause
    cause = named(norm, x, y, training=True, flax_buffers={"running_mean": buffers["running_mean"]})
    assert cause is None, cause


def test_batch_norm_with_the_complement_of_the_momentum():
    """PyTorch's 0.1 given to Flax as it is; the running mean alone tells."""
    x = normal(7, 5)
    norm = seeded(nn.BatchNorm1d(5, momentum=0.2))
    flax = batch_norm(norm, momentum=0.2)
    y = np.asarray(flax(x))
    cause = named(norm, x, y, training=True, flax_buffers={"running_mean": np.asarray(flax.mean[...])})
    assert cause is not None and cause.name == "momentum-complement", cause


def test_batch_norm_in_the_other_mode():
    x = normal(7, 5)
    norm = seeded(nn.BatchNorm1d(5))
    cause = named(norm, x, np.asarray(batch_norm(norm)(x, use_running_average=True)), training=True)
    assert cause is not None and cause.name in ("mode", "running-statistics"), cause
    cause = named(norm, x, np.asarray(batch_norm(norm)(x)), training=False)
    assert cause is not None and cause.name in ("mode", "batch-statistics"), cause


@pytest.mark.parametrize("size", [5, 7])
def test_gelu_is_the_tanh_approximation_by_default(size):
    x = 2 * normal(size, 7)
    cause = named(nn.GELU(), x, np.asarray(jax.nn.gelu(x)))
    assert cause is not None and cause.name == "gelu-tanh"
    cause = named(nn.GELU(approximate="tanh"), x, np.asarray(jax.nn.gelu(x, approximate=False)))
    assert cause is not None and cause.name == "gelu-erf"


@pytest.mark.parametrize("sizes", [(6, 8), (8, 8)])
def test_same_padding_with_stride_two_is_uneven(sizes):
    x = normal(2, 3, *sizes)
    conv = seeded(nn.Conv2d(3, 4, 3, stride=2, padding=1))
    flax = nnx.Conv(3, 4, (3, 3), strides=2, padding="SAME", param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    flax.kernel[...] = jnp_(conv.weight.permute(2, 3, 1, 0))
    flax.bias[...] = jnp_(conv.bias)
    cause = named(conv, x, first(flax(last(x))))
    assert cause is not None and cause.name == "same-padding", cause
    pool = nn.MaxPool2d(3, 2, 1)
    cause = named(pool, x, first(nnx.max_pool(jnp.asarray(last(x)), (3, 3), (2, 2), "SAME")))
    assert cause is not None and cause.name == "same-padding", cause


def test_pooling_has_stride_one_by_default():
    x = normal(2, 3, 6, 8)
    cause = named(nn.MaxPool2d(2), x, first(nnx.max_pool(jnp.asarray(last(x)), (2, 2))))
    assert cause is not None and cause.name == "stride", cause


def test_average_pooling_counts_the_padding():
    x = normal(2, 3, 5, 7)
    pads = ((1, 1), (1, 1))
    flax = nnx.avg_pool(jnp.asarray(last(x)), (3, 3), (2, 2), pads, count_include_pad=False)
    cause = named(nn.AvgPool2d(3, 2, 1), x, first(flax))
    assert cause is not None and cause.name == "count-include-pad", cause


@pytest.mark.parametrize("channels", [(3, 4), (3, 3)])
def test_transposed_convolution_does_not_flip_by_default(channels):
    a, b = channels
    x = normal(2, a, 5, 6)
    conv = seeded(nn.ConvTranspose2d(a, b, 3, stride=2))
    flax = nnx.ConvTranspose(a, b, (3, 3), strides=(2, 2), padding="VALID", param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    flax.kernel[...] = jnp_(conv.weight.permute(2, 3, 0, 1))
    flax.bias[...] = jnp_(conv.bias)
    cause = named(conv, x, first(flax(last(x))))
    assert cause is not None and cause.name == "kernel-flipped", cause


def test_linear_uses_the_weight_as_kernel():
    x = normal(5, 7)
    linear = seeded(nn.Linear(7, 7))
    flax = nnx.Linear(7, 7, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    flax.kernel[...] = jnp_(linear.weight)
    flax.bias[...] = jnp_(linear.bias)
    cause = named(linear, x, np.asarray(flax(x)))
    assert cause is not None and cause.name == "transposed"


@pytest.mark.parametrize("sizes", [(3, 2, 5), (3, 3, 3)])
def test_flatten_order(sizes):
    x = normal(2, *sizes)
    cause = named(nn.Flatten(), x, last(x).reshape(2, -1))
    assert cause is not None and cause.name == "flatten-order"
    net = seeded(nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(sizes)), 4)))
    flax = last(x).reshape(2, -1) @ net[1].weight.detach().numpy().T + net[1].bias.detach().numpy()
    cause = named(net, x, flax)
    assert cause is not None and cause.name == "flatten-order" and cause.text.startswith("in 0:"), cause


def gru(cell, x, wih, whh, bih, bhh):
    """nnx.GRUCell with PyTorch's weights; it has no bias of the hidden state."""
    flax = nnx.GRUCell(cell.input_size, cell.hidden_size, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    flax.dense_i.kernel[...] = wih.T
    flax.dense_i.bias[...] = bih
    flax.dense_h.kernel[...] = whh.T
    return np.asarray(flax(jnp.zeros((len(x), cell.hidden_size)), x)[0])


def test_gru_cell_has_no_hidden_bias():
    cell = seeded(nn.GRUCell(5, 3))
    x = normal(4, 5)
    flax = gru(cell, x, *(jnp_(cell.get_parameter(f"{k}_{s}")) for k in ("weight", "bias") for s in ("ih", "hh")))
    cause = named(cell, x, flax)
    assert cause is not None and cause.name == "second-bias-missing", cause


@pytest.mark.parametrize("sizes", [(5, 3), (4, 4)])
def test_lstm_gate_order(sizes):
    lstm = seeded(nn.LSTM(*sizes, batch_first=True))
    x = normal(2, 7, sizes[0])
    size = sizes[1]
    weights = {name: jnp_(p) for name, p in lstm.named_parameters()}

    def step(carry, x):  # i, f, o, g: Keras and others
        h, c = carry
        z = x @ weights["weight_ih_l0"].T + h @ weights["weight_hh_l0"].T
        i, f, o, g = jnp.split(z + weights["bias_ih_l0"] + weights["bias_hh_l0"], 4, -1)
        c = nnx.sigmoid(f) * c + nnx.sigmoid(i) * jnp.tanh(g)
        h = nnx.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    start = jnp.zeros((2, size)), jnp.zeros((2, size))
    (h, c), y = jax.lax.scan(step, start, x.swapaxes(0, 1))
    cause = named(lstm, x, (np.asarray(y).swapaxes(0, 1), (np.asarray(h)[None], np.asarray(c)[None])))
    assert cause is not None and cause.name == "gate-order", cause
    assert "i, f, o, g" in cause.text


def test_gru_with_reset_before_the_product():
    cell = seeded(nn.GRU(5, 3))
    x = normal(7, 2, 5)
    w_ih, w_hh, b_ih, b_hh = (jnp_(p) for p in cell.parameters())
    h = jnp.zeros((2, 3))
    outputs = []
    for step in x:
        a = step @ w_ih.T + b_ih
        b = h @ w_hh.T + b_hh
        r = nnx.sigmoid(a[:, :3] + b[:, :3])
        z = nnx.sigmoid(a[:, 3:6] + b[:, 3:6])
        h = (1 - z) * jnp.tanh(a[:, 6:] + (r * h) @ w_hh[6:].T + b_hh[6:]) + z * h
        outputs.append(h)
    cause = named(cell, x, np.stack(outputs))
    assert cause is not None and cause.name == "reset-before", cause


def test_the_reset_gate_of_a_packed_sequence_stands_before_the_product_too():
    gru = seeded(nn.GRU(5, 3, batch_first=True))
    x, lengths = torch.as_tensor(normal(4, 7, 5)).to(next(gru.parameters())), torch.tensor([7, 3, 5, 1])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    (_, _, altered), *_ = reset_before(gru)
    outputs, last = altered(packed)
    for sequence, length, state in zip(x, lengths, last[0], strict=True):
        alone, _ = altered(sequence[None, :length])
        torch.testing.assert_close(state, alone[0, -1])
        assert not torch.allclose(state, gru(sequence[None, :length])[0][0, -1], atol=1e-3), "control: another gate"
    torch.testing.assert_close(outputs.batch_sizes, packed.batch_sizes)


@pytest.mark.slow
def test_attention_mask_polarity():
    attention = seeded(nn.MultiheadAttention(6, 3, batch_first=True))
    x = normal(2, 5, 6)
    ignored = np.triu(np.ones((5, 5), bool), 1) | np.eye(5, k=-2, dtype=bool)
    e = 6
    flax = nnx.MultiHeadAttention(
        3, e, use_bias=True, decode=False, dtype=jnp.float64, param_dtype=jnp.float64, rngs=nnx.Rngs(0)
    )
    parts = ("query", "key", "value")
    for part, w, b in zip(parts, attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True):
        layer = getattr(flax, part)
        layer.kernel[...] = jnp_(w.T).reshape(e, 3, 2)
        layer.bias[...] = jnp_(b).reshape(3, 2)
    flax.out.kernel[...] = jnp_(attention.out_proj.weight.T).reshape(3, 2, e)
    flax.out.bias[...] = jnp_(attention.out_proj.bias)
    right = np.asarray(flax(jnp.asarray(x), mask=jnp.asarray(~ignored), sow_weights=True))
    wrong = np.asarray(flax(jnp.asarray(x), mask=jnp.asarray(ignored | np.eye(5, dtype=bool)), sow_weights=True))
    kwargs = {"attn_mask": ignored}
    assert named(attention, (x, x, x), right, kwargs=kwargs) is None
    # Without sow_weights Flax calls jax.nn.dot_product_attention, whose softmax is in float32 whatever the inputs.
    fused = np.asarray(flax(jnp.asarray(x), mask=jnp.asarray(~ignored)))
    cause = named(attention, (x, x, x), fused, kwargs=kwargs)
    assert cause is not None and cause.name == "float32", cause
    ignored_too = ~(ignored | np.eye(5, dtype=bool))
    cause = named(attention, (x, x, x), wrong, kwargs={"attn_mask": ~ignored_too})
    assert cause is not None and cause.name == "mask-polarity", cause


def test_dropout_of_flax():
    x = normal(11, 13)
    dropout = nn.Dropout(0.3)
    flax = np.asarray(nnx.Dropout(0.3, rngs=nnx.Rngs(0))(x))
    mask = flax != 0
    assert named(dropout, x, flax, training=True).name == "dropout-draws"
    assert named(dropout, x, flax, training=False).name == "dropout-in-evaluation"
    assert named(dropout, x, x, training=True).name == "dropout-off"
    assert named(dropout, x, x * mask, training=True).name == "dropout-unscaled"
    assert (
        named(dropout, x, np.asarray(nnx.Dropout(0.7, rngs=nnx.Rngs(0))(x)), training=True).name == "dropout-complement"
    )
    assert named(dropout, x, x * mask * 0.7, training=True).name == "dropout-scale"
    assert named(dropout, x, x, training=False) is None
