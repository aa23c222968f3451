"""Layers: what Flax's own layers do under a wrong convention is named by the convention."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn
from torch.nn import functional as F

from d2l_jax.errors import InputError
from parity.blame.diagnosis import explain_layer, layers
from parity.blame.diagnosis.calls import run


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def seeded(module):
    """Random numbers in every parameter and buffer: a fresh scale of ones would hide its absence."""
    random = torch.Generator().manual_seed(3)
    module = module.double()
    for tensor in [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]:
        tensor.data = torch.rand(tensor.shape, generator=random, dtype=torch.double) + 0.1
        if tensor.ndim > 1:
            tensor.data -= 0.6
    return module


def jnp_(tensor):
    return jnp.asarray(tensor.detach().numpy())


def last(x):
    return np.moveaxis(x, 1, -1)


def first(x):
    return np.moveaxis(np.asarray(x), -1, 1)


def named(module, x, flax, training=False, **more):
    args = x if isinstance(x, tuple) else (x,)
    kwargs = more.pop("kwargs", {})
    return explain_layer(module, args, kwargs, flax, training=training, **more)


# Flax's own layers with their own defaults


def test_layer_norm_has_another_default_eps():
    for size in (7, 6):
        x, norm = normal(size, 6), seeded(nn.LayerNorm(6))
        flax = nnx.LayerNorm(6, param_dtype=jnp.float64, use_fast_variance=False, rngs=nnx.Rngs(0))
        flax.scale[...], flax.bias[...] = jnp_(norm.weight), jnp_(norm.bias)
        cause = named(norm, x, np.asarray(flax(x)))
        assert cause is not None and cause.name == "eps", cause
        assert cause.text == "Flax computes with eps=1e-06 where PyTorch has 1e-05"
        assert cause.residual < 1e-9


def test_group_norm_has_another_default_eps():
    x, norm = normal(2, 6, 3, 5), seeded(nn.GroupNorm(3, 6))
    flax = nnx.GroupNorm(6, 3, param_dtype=jnp.float64, use_fast_variance=False, rngs=nnx.Rngs(0))
    flax.scale[...], flax.bias[...] = jnp_(norm.weight), jnp_(norm.bias)
    cause = named(norm, x, first(flax(last(x))))
    assert cause is not None and cause.name == "eps", cause


def batch_norm(norm, **options):
    flax = nnx.BatchNorm(
        norm.num_features, param_dtype=jnp.float64, use_fast_variance=False, rngs=nnx.Rngs(0), **options
    )
    flax.scale[...], flax.bias[...] = jnp_(norm.weight), jnp_(norm.bias)
    flax.mean, flax.var = nnx.BatchStat(jnp_(norm.running_mean)), nnx.BatchStat(jnp_(norm.running_var))
    return flax


def test_batch_norm_has_another_momentum_and_a_biased_variance():
    x, norm = normal(2, 3, 5, 7), seeded(nn.BatchNorm2d(3))
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
    x, norm = normal(7, 5), seeded(nn.BatchNorm1d(5, momentum=0.2))
    flax = batch_norm(norm, momentum=0.2)
    y = np.asarray(flax(x))
    cause = named(norm, x, y, training=True, flax_buffers={"running_mean": np.asarray(flax.mean[...])})
    assert cause is not None and cause.name == "momentum-complement", cause


def test_batch_norm_in_the_other_mode():
    x, norm = normal(7, 5), seeded(nn.BatchNorm1d(5))
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
    x, conv = normal(2, 3, *sizes), seeded(nn.Conv2d(3, 4, 3, stride=2, padding=1))
    flax = nnx.Conv(3, 4, (3, 3), strides=2, padding="SAME", param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    flax.kernel[...], flax.bias[...] = jnp_(conv.weight.permute(2, 3, 1, 0)), jnp_(conv.bias)
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
    x, conv = normal(2, a, 5, 6), seeded(nn.ConvTranspose2d(a, b, 3, stride=2))
    flax = nnx.ConvTranspose(a, b, (3, 3), strides=(2, 2), padding="VALID", param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    flax.kernel[...], flax.bias[...] = jnp_(conv.weight.permute(2, 3, 0, 1)), jnp_(conv.bias)
    cause = named(conv, x, first(flax(last(x))))
    assert cause is not None and cause.name == "kernel-flipped", cause


def test_linear_uses_the_weight_as_kernel():
    x, linear = normal(5, 7), seeded(nn.Linear(7, 7))
    flax = nnx.Linear(7, 7, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    flax.kernel[...], flax.bias[...] = jnp_(linear.weight), jnp_(linear.bias)
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
    flax.dense_i.kernel[...], flax.dense_i.bias[...] = wih.T, bih
    flax.dense_h.kernel[...] = whh.T
    return np.asarray(flax(jnp.zeros((len(x), cell.hidden_size)), x)[0])


def test_gru_cell_has_no_hidden_bias():
    cell, x = seeded(nn.GRUCell(5, 3)), normal(4, 5)
    flax = gru(cell, x, *(jnp_(cell.get_parameter(f"{k}_{s}")) for k in ("weight", "bias") for s in ("ih", "hh")))
    cause = named(cell, x, flax)
    assert cause is not None and cause.name == "second-bias-missing", cause


@pytest.mark.parametrize("sizes", [(5, 3), (4, 4)])
def test_lstm_gate_order(sizes):
    lstm, x = seeded(nn.LSTM(*sizes, batch_first=True)), normal(2, 7, sizes[0])
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
    cell, x = seeded(nn.GRU(5, 3)), normal(7, 2, 5)
    w_ih, w_hh, b_ih, b_hh = (jnp_(p) for p in cell.parameters())
    h, outputs = jnp.zeros((2, 3)), []
    for step in x:
        a, b = step @ w_ih.T + b_ih, h @ w_hh.T + b_hh
        r, z = nnx.sigmoid(a[:, :3] + b[:, :3]), nnx.sigmoid(a[:, 3:6] + b[:, 3:6])
        h = (1 - z) * jnp.tanh(a[:, 6:] + (r * h) @ w_hh[6:].T + b_hh[6:]) + z * h
        outputs.append(h)
    cause = named(cell, x, np.stack(outputs))
    assert cause is not None and cause.name == "reset-before", cause


def test_attention_mask_polarity():
    attention = seeded(nn.MultiheadAttention(6, 3, batch_first=True))
    x, ignored = normal(2, 5, 6), np.triu(np.ones((5, 5), bool), 1) | np.eye(5, k=-2, dtype=bool)
    e = 6
    flax = nnx.MultiHeadAttention(
        3, e, use_bias=True, decode=False, dtype=jnp.float64, param_dtype=jnp.float64, rngs=nnx.Rngs(0)
    )
    parts = ("query", "key", "value")
    for part, w, b in zip(parts, attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True):
        layer = getattr(flax, part)
        layer.kernel[...], layer.bias[...] = jnp_(w.T).reshape(e, 3, 2), jnp_(b).reshape(3, 2)
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
    x, dropout = normal(11, 13), nn.Dropout(0.3)
    flax = np.asarray(nnx.Dropout(0.3, rngs=nnx.Rngs(0))(x))
    kept = flax != 0
    assert named(dropout, x, flax, training=True).name == "dropout-draws"
    assert named(dropout, x, flax, training=False).name == "dropout-in-evaluation"
    assert named(dropout, x, x, training=True).name == "dropout-off"
    assert named(dropout, x, x * kept, training=True).name == "dropout-unscaled"
    assert (
        named(dropout, x, np.asarray(nnx.Dropout(0.7, rngs=nnx.Rngs(0))(x)), training=True).name == "dropout-complement"
    )
    assert named(dropout, x, x * kept * 0.7, training=True).name == "dropout-scale"
    assert named(dropout, x, x, training=False) is None


# Conventions planted through PyTorch's own functions or a few lines of numpy


def of(module, *inputs, **kwargs):
    """The output as numpy, in evaluation mode."""
    with torch.no_grad():
        y = module.double().eval()(*map(torch.as_tensor, inputs), **kwargs)
    return tuple(part.numpy() for part in y[:1]) if isinstance(y, tuple) else y.numpy()


def copied(module, other):
    """`other` with the weights of `module`."""
    other.double().load_state_dict(module.state_dict(), strict=False)
    return other


def altered(module, change):
    import copy

    twin = copy.deepcopy(module)
    with torch.no_grad():
        change(twin)
    return twin


def without(name):
    return lambda module: module.get_parameter(name).zero_()


def permuted_rows(name, order):
    def change(module):
        w = module.get_parameter(name)
        w.copy_(torch.cat([w.chunk(len(order))[i] for i in order]))

    return change


def changing(*changes):
    def change(module):
        for each in changes:
            each(module)

    return change


def filled(name, function):
    def change(module):
        w = module.get_parameter(name)
        w.copy_(function(w.clone()))

    return change


def turned(w):
    """The columns of 30 features: from (5, 6) to (6, 5)."""
    return w.reshape(4, 5, 6).transpose(1, 2).reshape(4, 30)


def both(change):
    """The change of the weight and of the bias of attention's in-projection."""
    return changing(*(change(f"in_proj_{kind}") for kind in ("weight", "bias")))


def larger_query(w):
    return torch.cat([w[:6] * 2**0.5, w[6:]])


def all_gates(order):
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return changing(*(permuted_rows(f"{kind}_l0", order) for kind in kinds))


def bilinear(**options):
    return nn.Upsample(scale_factor=2, mode="bilinear", **options)


IMAGE, SQUARE = (2, 4, 5, 7), (4, 4, 6, 6)
MHA = nn.MultiheadAttention

# name, PyTorch's layer, what Flax does (a change of a copy, or another layer of the same weights), inputs' shapes
PLANTED = [
    ("bias-missing", nn.Linear(7, 5), without("bias"), [(3, 7), (7, 7)]),
    ("bias-doubled", nn.Linear(7, 5), filled("bias", lambda b: 2 * b), [(3, 7)]),
    ("flatten-order", nn.Linear(30, 4), filled("weight", turned), [(3, 30)]),
    ("kernel-flipped", nn.Conv2d(4, 3, 3), filled("weight", lambda w: w.flip(2, 3)), [IMAGE, SQUARE]),
    ("kernel-transposed", nn.Conv2d(4, 3, 3), filled("weight", lambda w: w.transpose(2, 3)), [IMAGE, SQUARE]),
    ("channels-exchanged", nn.Conv2d(4, 4, 3), filled("weight", lambda w: w.transpose(0, 1)), [IMAGE, SQUARE]),
    ("bias-missing", nn.Conv2d(4, 3, 3), without("bias"), [IMAGE, SQUARE]),
    ("stride", nn.Conv2d(4, 3, 3), nn.Conv2d(4, 3, 3, stride=2), [IMAGE, SQUARE]),
    ("dilation", nn.Conv2d(4, 3, 3), nn.Conv2d(4, 3, 3, dilation=2), [IMAGE, SQUARE]),
    ("padding", nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(4, 3, 3, padding=2), [IMAGE, SQUARE]),
    ("no-padding", nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(4, 3, 3), [IMAGE, SQUARE]),
    ("padding-mode", nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(4, 3, 3, 1, 1, padding_mode="reflect"), [IMAGE]),
    ("output-padding", nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.ConvTranspose2d(4, 3, 4, 2, 1, output_padding=1), [IMAGE]),
    ("kernel-flipped", nn.ConvTranspose2d(4, 3, 3), filled("weight", lambda w: w.flip(2, 3)), [IMAGE, SQUARE]),
    ("ceil-mode", nn.MaxPool2d(2, 2), nn.MaxPool2d(2, 2, ceil_mode=True), [IMAGE]),
    ("average-for-max", nn.MaxPool2d(2, 2), nn.AvgPool2d(2, 2), [IMAGE, SQUARE]),
    ("max-for-average", nn.AvgPool2d(2, 2), nn.MaxPool2d(2, 2), [IMAGE, SQUARE]),
    ("average-for-max", nn.AdaptiveMaxPool2d(2), nn.AdaptiveAvgPool2d(2), [IMAGE, SQUARE]),
    ("leaky-slope", nn.LeakyReLU(0.01), nn.LeakyReLU(0.2), [IMAGE, SQUARE]),
    ("leaky-slope", nn.LeakyReLU(0.2), nn.LeakyReLU(0.3), [IMAGE, SQUARE]),
    ("elu-alpha", nn.ELU(), nn.ELU(0.5), [IMAGE, SQUARE]),
    ("activation-missing", nn.ReLU(), nn.Identity(), [IMAGE, SQUARE]),
    ("relu6", nn.ReLU(), nn.ReLU6(), [(40, 41), (40, 40)]),
    ("silu", nn.Sigmoid(), nn.SiLU(), [IMAGE, SQUARE]),
    ("sigmoid", nn.SiLU(), nn.Sigmoid(), [IMAGE, SQUARE]),
    ("softmax-axis", nn.Softmax(-1), nn.Softmax(0), [(5, 7), (6, 6)]),
    ("log-softmax", nn.Softmax(-1), nn.LogSoftmax(-1), [(5, 7), (6, 6)]),
    ("softmax", nn.LogSoftmax(-1), nn.Softmax(-1), [(5, 7), (6, 6)]),
    ("softmax-missing", nn.Softmax(-1), nn.Identity(), [(5, 7), (6, 6)]),
    ("group-count", nn.GroupNorm(2, 4), nn.GroupNorm(4, 4), [IMAGE, SQUARE]),
    ("eps", nn.BatchNorm2d(4), nn.BatchNorm2d(4, eps=1e-3), [IMAGE, SQUARE]),
    ("scale-missing", nn.LayerNorm(7), lambda m: m.weight.fill_(1), [(5, 7), (7, 7)]),
    ("bias-missing", nn.LayerNorm(7), without("bias"), [(5, 7), (7, 7)]),
    ("embedding-scale", nn.Embedding(5, 7), filled("weight", lambda w: w * 7**0.5), [(3, 4)]),
    ("transposed", nn.Embedding(6, 6), filled("weight", lambda w: w.T), [(3, 4)]),
    ("align-corners", bilinear(), bilinear(align_corners=True), [IMAGE]),
    ("resize-mode", nn.Upsample(scale_factor=2), bilinear(), [IMAGE, SQUARE]),
    ("second-bias-missing", nn.LSTM(5, 3), without("bias_hh_l0"), [(7, 2, 5)]),
    ("activation", nn.RNN(5, 3), nn.RNN(5, 3, nonlinearity="relu"), [(7, 2, 5)]),
    ("batch-first", nn.GRU(4, 4), nn.GRU(4, 4, batch_first=True), [(7, 2, 4), (4, 4, 4)]),
    ("gate-order", nn.GRU(5, 3), all_gates((1, 0, 2)), [(7, 2, 5)]),
    ("out-bias-missing", MHA(6, 3), without("out_proj.bias"), [(5, 2, 6)]),
    ("attention-scale", MHA(6, 3), both(lambda n: filled(n, larger_query)), [(5, 2, 6)]),
    ("projection-order", MHA(6, 3), both(lambda n: permuted_rows(n, (2, 1, 0))), [(5, 2, 6)]),
    ("head-count", MHA(6, 3), MHA(6, 2), [(5, 2, 6)]),
    ("batch-first", MHA(6, 3), MHA(6, 3, batch_first=True), [(5, 2, 6), (6, 6, 6)]),
]  # fmt: skip


MOST_RUNS = 30  # of PyTorch's layer, for one explanation


@pytest.mark.parametrize("number", range(len(PLANTED)))
def test_a_planted_convention_is_named_after_few_runs(number, monkeypatch):
    name, module, plant, shapes = PLANTED[number]
    module = seeded(module)
    runs: list[object] = []
    monkeypatch.setattr(layers, "run", lambda call: runs.append(call) or run(call))
    flax = copied(module, plant) if isinstance(plant, nn.Module) else altered(module, plant)
    for shape in shapes:
        inputs = (normal(*shape, seed=number) * (4 if name == "relu6" else 1),)
        if isinstance(module, nn.Embedding):
            inputs = (np.random.default_rng(0).integers(0, module.num_embeddings, shape),)
        if isinstance(module, MHA):
            inputs *= 3
        runs.clear()
        cause = explain_layer(module, inputs, {}, of(flax, *inputs), training=False)
        assert cause is not None and cause.name == name, (shape, cause)
        assert 1 < len(runs) <= MOST_RUNS
        assert explain_layer(module, inputs, {}, of(module, *inputs), training=False) is None


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
    h, (w_ih, w_hh, b_ih, b_hh) = torch.zeros(len(x), 3).double(), m.parameters()
    a, b = (x @ w_ih.T + b_ih).chunk(3, -1), (h @ w_hh.T + b_hh).chunk(3, -1)
    r, z = torch.sigmoid(a[0] + b[0]), torch.sigmoid(a[1] + b[1])
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
    module, x = seeded(module), normal(*shape, seed=number)
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
    module, x = seeded(nn.Embedding(9, 5, padding_idx=2)), np.array([[2, 3, 4], [5, 6, 2]])
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
    norm, x = seeded(nn.LayerNorm(7)), normal(*shape) + 0.5
    assert named(norm, x, normalised(x, -1, norm, ddof=1)).name == "unbiased-variance"
    assert named(norm, x, normalised(x, -1, norm, centred=False)).name == "rms-norm"
    assert named(norm, x, normalised(x, (1, 2), norm)).name == "norm-axes"
    assert named(norm, x, normalised(x, 1, norm)).name == "norm-axes"


def test_heads_that_are_interleaved():
    attention, x = seeded(MHA(6, 3)), normal(5, 2, 6)
    order = torch.arange(6).reshape(2, 3).T.reshape(-1)
    turned = torch.cat([order, order + 6, order + 12])
    flax = altered(attention, changing(*(filled(n, lambda w: w[turned]) for n in ("in_proj_weight", "in_proj_bias"))))
    cause = named(attention, (x, x, x), of(flax, x, x, x))
    assert cause is not None and cause.name == "heads-interleaved", cause


def test_directions_and_the_initial_state():
    rnn, x, h = seeded(nn.GRU(5, 3, bidirectional=True)), normal(7, 2, 5), normal(2, 2, 3, seed=1)
    (y,) = of(rnn, x)
    cause = named(rnn, x, np.concatenate([y[..., 3:], y[..., :3]], -1))
    assert cause is not None and cause.name == "direction-order"
    cause = named(rnn, (x, h), y)
    assert cause is not None and cause.name == "initial-state"


def test_softplus_has_a_threshold():
    x = 30 * np.abs(normal(5, 7))
    soft = nn.Softplus(threshold=5)
    cause = named(soft, x, np.asarray(jax.nn.softplus(x)))
    assert cause is not None and cause.name == "softplus-threshold"


def gradients(module, x, cotangent):
    module, x = module.double(), torch.tensor(x, requires_grad=True) if x.dtype == float else torch.as_tensor(x)
    module.zero_grad()
    module(x).backward(torch.as_tensor(cotangent))
    found = {name: p.grad.numpy().copy() for name, p in module.named_parameters()}
    return found | ({"input": x.grad.numpy()} if x.is_floating_point() else {})


def test_padding_idx_shows_in_the_gradient_alone():
    module, x, back = seeded(nn.Embedding(5, 3, padding_idx=1)), np.array([[0, 1, 2, 1]]), normal(1, 4, 3)
    flax = gradients(copied(module, nn.Embedding(5, 3)), x, back)
    output = of(module, x)
    cause = explain_layer(module, (x,), {}, output, training=True, cotangent=back, flax_grads=flax)
    assert cause is not None and cause.name == "padding-idx", cause
    flax = gradients(module, x, back)
    assert explain_layer(module, (x,), {}, output, training=True, cotangent=back, flax_grads=flax) is None


def test_gradients_must_fit_too():
    """The output fits the hypothesis and the gradient does not: nothing is named."""
    module, x, back = seeded(nn.Linear(7, 5)), normal(3, 7), normal(3, 5, seed=1)
    flax = altered(module, without("bias"))
    grads = gradients(flax, x, back) | {"bias": np.zeros(5)}
    cause = explain_layer(module, (x,), {}, of(flax, x), training=False, cotangent=back, flax_grads=grads)
    assert cause is not None and cause.name == "bias-missing"
    grads["weight"] = normal(5, 7, seed=5)
    cause = explain_layer(module, (x,), {}, of(flax, x), training=False, cotangent=back, flax_grads=grads)
    assert cause is None or cause.name != "bias-missing"


def test_the_fallback_is_by_numbers():
    x, module = normal(5, 7), seeded(nn.Linear(7, 3))
    cause = named(module, x, of(module, x)[::-1])
    assert cause is not None and cause.name == "flipped"


MODULES = [
    nn.Linear(6, 6), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.LayerNorm(6), nn.GroupNorm(2, 4),
    nn.MaxPool2d(2), nn.GELU(), nn.Softmax(-1), nn.LSTM(6, 3), nn.Flatten(),
]  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("seed", range(3))
def test_unrelated_outputs_are_not_named(module, seed):
    module = seeded(module)
    x = normal(4, 5, 6) if isinstance(module, nn.LSTM) else normal(4, 4, 6, 6, seed=seed)
    y = of(module, x)
    y = y[0] if isinstance(y, tuple) else y
    for training in (False, True):
        assert named(module, x, normal(*y.shape, seed=seed + 100), training=training) is None


def test_the_module_is_left_alone():
    norm, x = seeded(nn.BatchNorm1d(5)), normal(7, 5)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    named(norm, x, normal(7, 5, seed=1), training=True)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())
    assert norm.training


def test_pytorch_is_left_as_it_was():
    threads, draws = torch.get_num_threads(), torch.get_rng_state()
    named(nn.Dropout(0.3), normal(5, 7), normal(5, 7, seed=1), training=True)
    assert torch.get_num_threads() == threads and torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), draws)


def test_bad_calls_say_what_would_be_right():
    with pytest.raises(InputError, match="holds no array"):
        named(nn.ReLU(), normal(2, 3), None)
    with pytest.raises(InputError, match="without a cotangent"):
        named(nn.ReLU(), normal(2, 3), normal(2, 3), flax_grads={"input": normal(2, 3)})
