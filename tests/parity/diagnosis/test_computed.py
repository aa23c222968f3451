"""Layers: a convention that a few lines compute is named."""

import jax
import numpy as np
import pytest
import torch
from planting import IMAGE, MHA, SQUARE, altered, changing, filled, named, normal, of, seeded
from torch import nn
from torch.nn import functional as F


def dealt_groups(m, x):
    order = torch.arange(4).reshape(2, 2).T.reshape(-1)
    y = F.group_norm(x[:, order], 2)[:, order]
    return y * m.weight.reshape(-1, 1, 1) + m.bias.reshape(-1, 1, 1)


def eps_outside(m, x):
    std, mean = torch.std_mean(x, -1, keepdim=True, correction=0)
    return (x - mean) / (std + m.eps) * m.weight + m.bias


def unbiased_batch(m, x):
    m(x)
    var, mean = torch.var_mean(x, 0)
    return (x - mean) / torch.sqrt(var + m.eps) * m.weight + m.bias


def update_kept(m, x):
    h = torch.zeros(len(x), 3).double()
    w_ih, w_hh, b_ih, b_hh = m.parameters()
    a = (x @ w_ih.T + b_ih).chunk(3, -1)
    b = (h @ w_hh.T + b_hh).chunk(3, -1)
    r = torch.sigmoid(a[0] + b[0])
    z = torch.sigmoid(a[1] + b[1])
    return z * torch.tanh(a[2] + r * b[2]) + (1 - z) * h


def lstm_turned(m, x):
    def turn(module):
        for name in ("weight_ih_l0", "weight_hh_l0"):
            w = module.get_parameter(name)
            w.copy_(torch.cat([block.T for block in w.clone().chunk(4)]))

    return altered(m, turn)(x)


def causal(m, x):
    return m(x, x, x, attn_mask=torch.ones(len(x), len(x)).bool().triu(1))


def forget_one(m, x):
    return altered(m, filled("bias_ih_l0", lambda b: torch.cat([b[:3], b[3:6] + 1, b[6:]])))(x)


def conv(m, x):
    """The convolution without the padding of its own."""
    return (F.conv1d if x.ndim == 3 else F.conv2d)(x, m.weight, m.bias)


def no_hidden_bias(m, x):
    return altered(m, filled("bias_hh_l0", lambda b: torch.cat([b[:6], 0 * b[6:]])))(x)


def shuffled(m, x):
    return m(x.unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2))


# name, PyTorch's layer, what Flax computes of layer and input, the input's shape, in training mode or not
COMPUTED = [
    ("group-order", nn.GroupNorm(2, 4), dealt_groups, IMAGE, False),
    ("eps-outside", nn.LayerNorm(7), eps_outside, (5, 7), False),
    ("unbiased-variance", nn.BatchNorm1d(7), unbiased_batch, (5, 7), True),
    ("instance-norm", nn.BatchNorm2d(4), lambda m, x: F.instance_norm(x, None, None, m.weight, m.bias), IMAGE, True),
    ("batch-norm", nn.InstanceNorm2d(4), lambda m, x: F.batch_norm(x, None, None, training=True), IMAGE, False),
    ("bias-sign", nn.Linear(7, 5), lambda m, x: x @ m.weight.T - m.bias, (3, 7), False),
    ("weight-scale", nn.Linear(7, 5), lambda m, x: x @ m.weight.T / 7**0.5 + m.bias, (3, 7), False),
    ("uneven-padding", nn.Conv2d(4, 3, 3, padding=1), lambda m, x: conv(m, F.pad(x, (1, 2, 1, 2))), IMAGE, False),
    ("causal-padding", nn.Conv1d(4, 3, 3, padding=1), lambda m, x: conv(m, F.pad(x, (2, 0))), (2, 4, 9), False),
    ("sum-for-average", nn.AvgPool2d(3, 2), lambda m, x: 9 * m(x), IMAGE, False),
    ("zero-padding", nn.MaxPool2d(2, 2, 1), lambda m, x: F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 2, 2), IMAGE, False),
    ("gelu-sigmoid", nn.GELU(), lambda m, x: x * torch.sigmoid(1.702 * x), IMAGE, False),
    ("softmax-twice", nn.Softmax(-1), lambda m, x: m(m(x)), (5, 7), False),
    ("update-complement", nn.GRUCell(5, 3), update_kept, (2, 5), False),
    ("transposed", nn.LSTM(4, 4), lstm_turned, (6, 2, 4), False),
    ("reversed", nn.LSTM(5, 3), lambda m, x: m(x.flip(0))[0], (6, 2, 5), False),
    ("forget-bias", nn.LSTM(5, 3), forget_one, (6, 2, 5), False),
    ("hidden-bias-missing", nn.GRU(5, 3), no_hidden_bias, (6, 2, 5), False),
    ("state-order", nn.LSTM(5, 3), lambda m, x: (m(x)[0], m(x)[1][::-1]), (6, 2, 5), False),
    ("last-step-only", nn.LSTM(5, 3), lambda m, x: m(x)[0][-1], (6, 2, 5), False),
    ("causal-mask", MHA(6, 3), causal, (5, 2, 6), False),
    ("channel-order", nn.PixelShuffle(2), shuffled, (2, 8, 3, 5), False),
    ("layer-missing", nn.Linear(7, 7), lambda m, x: x, (5, 7), False),
    ("residual-added", nn.Linear(7, 7), lambda m, x: x + m(x), (5, 7), False),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(COMPUTED)))
def test_a_computed_convention_is_named(number):
    name, module, compute, shape, training = COMPUTED[number]
    module = seeded(module)
    x = normal(*shape, seed=number)
    x = x - 1 if name == "zero-padding" else x
    with torch.no_grad():
        y = compute(altered(module, lambda m: m.train(training)), torch.tensor(x))
    is_pair = isinstance(module, MHA) or (isinstance(module, nn.RNNBase) and isinstance(y, tuple))
    y = (y[0].numpy(), tuple(s.numpy() for s in y[1]) if isinstance(y[1], tuple) else y[1].numpy()) if is_pair else y
    y = y.numpy() if isinstance(y, torch.Tensor) else y
    args = (x, x, x) if isinstance(module, MHA) else (x,)
    cause = named(module, args, y, training=training)
    assert cause is not None and cause.name == name, cause


@pytest.mark.parametrize("name, shift", [("index-shifted", 1), ("padding-zeros", 0)])
def test_embeddings_looked_up_otherwise(name, shift):
    module = seeded(nn.Embedding(9, 5, padding_idx=2))
    x = np.array([[2, 3, 4], [5, 6, 2]])
    flax = of(module, x + shift) * (1 if shift else (x != 2)[..., None])
    cause = named(module, x, flax)
    assert cause is not None and cause.name == name, cause


def test_groups_dealt_in_turn():
    conv = seeded(nn.Conv2d(4, 6, 3, groups=2))
    for shape in (IMAGE, SQUARE):
        x = normal(*shape)
        y = of(conv, x)
        cause = named(conv, x, y.reshape(len(y), 2, 3, *y.shape[2:]).swapaxes(1, 2).reshape(y.shape))
        assert cause is not None and cause.name == "groups-order", cause


def normalised(x, axes, m, ddof=0, centred=True):
    mean = x.mean(axes, keepdims=True) if centred else 0
    var = x.var(axes, ddof=ddof, keepdims=True) if centred else (x**2).mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + m.eps) * m.weight.detach().numpy() + m.bias.detach().numpy()


@pytest.mark.parametrize("shape", [(2, 5, 7), (7, 7, 7)])
def test_other_layer_norms(shape):
    norm = seeded(nn.LayerNorm(7))
    x = normal(*shape) + 0.5
    assert named(norm, x, normalised(x, -1, norm, ddof=1)).name == "unbiased-variance"
    assert named(norm, x, normalised(x, -1, norm, centred=False)).name == "rms-norm"
    assert named(norm, x, normalised(x, (1, 2), norm)).name == "norm-axes"
    assert named(norm, x, normalised(x, 1, norm)).name == "norm-axes"


def test_heads_that_are_interleaved():
    attention = seeded(MHA(6, 3))
    x = normal(5, 2, 6)
    order = torch.arange(6).reshape(2, 3).T.reshape(-1)
    turned = torch.cat([order, order + 6, order + 12])
    flax = altered(attention, changing(*(filled(n, lambda w: w[turned]) for n in ("in_proj_weight", "in_proj_bias"))))
    cause = named(attention, (x, x, x), of(flax, x, x, x))
    assert cause is not None and cause.name == "heads-interleaved", cause


def test_directions_and_the_initial_state():
    rnn = seeded(nn.GRU(5, 3, bidirectional=True))
    x = normal(7, 2, 5)
    h = normal(2, 2, 3, seed=1)
    (y,) = of(rnn, x)
    cause = named(rnn, x, np.concatenate([y[..., 3:], y[..., :3]], -1))
    assert cause is not None and cause.name == "direction-order"
    cause = named(rnn, (x, h), y)
    assert cause is not None and cause.name == "initial-state"


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_directions_that_no_layer_turns_round_again(kind):
    rnn = seeded(kind(5, 3, num_layers=2, bidirectional=True))
    x = normal(7, 2, 5)
    first, second = (kind(size, 3, bidirectional=True).double() for size in (5, 6))
    y = torch.tensor(x)
    for number, layer in enumerate((first, second)):
        layer.load_state_dict(
            {name.replace(f"_l{number}", "_l0"): w for name, w in rnn.state_dict().items() if f"_l{number}" in name}
        )
        ahead, back = layer(y)[0].chunk(2, -1)
        y = torch.cat([ahead, back.flip(0)], -1)
    cause = named(rnn, x, y.detach().numpy())
    assert cause is not None and (cause.name, cause.text[-12:]) == ("direction-order", "in any layer")


def test_softplus_has_a_threshold():
    x = 30 * np.abs(normal(5, 7))
    soft = nn.Softplus(threshold=5)
    cause = named(soft, x, np.asarray(jax.nn.softplus(x)))
    assert cause is not None and cause.name == "softplus-threshold"
