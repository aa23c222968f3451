"""The weight map of every kind of layer is found, complete, one to one, and right; with negative controls."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx

from d2l_jax import nn
from d2l_jax.errors import InputError
from parity.match import match
from parity.match.torch_layers import randomize, slow_attention
from parity.models.flax_model import FlaxModel, LinenModel, NNXModel
from parity.weights.leaf import Leaf, export, place

R = nnx.Rngs(0)
F64 = {"param_dtype": jnp.float64}


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def first(x: np.ndarray) -> torch.Tensor:
    """Channels first."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def outputs(
    flax: FlaxModel, torch_model: torch.nn.Module, leaves: list[Leaf], x: tuple, tx: tuple
) -> tuple[list, list]:
    """Of both models, with new random weights brought over by the map."""
    torch_model = torch_model.double().eval()
    randomize(torch_model, np.random.default_rng(7))
    arrays = {key: tensor.numpy() for key, tensor in torch_model.state_dict().items()}
    with jax.enable_x64(True), torch.no_grad(), slow_attention():
        params = place([leaf for leaf in leaves if leaf.trained], arrays, flax.params, jnp.float64)
        buffers = place([leaf for leaf in leaves if not leaf.trained], arrays, flax.buffers, jnp.float64)
        for name, array in export([leaf for leaf in leaves if leaf.trained], params).items():
            if name in arrays and not any(leaf.rows for leaf in leaves if leaf.key == name):
                assert np.array_equal(array, arrays[name])  # and back again, bit for bit
        ours = flax.apply(params, buffers, tuple(map(jnp.asarray, x)), train=False)[0]
        theirs = torch_model(*tx)
    return [np.asarray(y) for y in jax.tree.leaves(ours)], [y.numpy() for y in tensors(theirs)]


def tensors(tree: Any) -> list[torch.Tensor]:
    return [tree] if isinstance(tree, torch.Tensor) else [t for item in tree for t in tensors(item)]


def verified(flax: FlaxModel, torch_model: torch.nn.Module, x: Any, tx: Any) -> list[Leaf]:
    """The map, of which everything is proven."""
    x, tx = x if isinstance(x, tuple) else (x,), tx if isinstance(tx, tuple) else (tx,)
    leaves = match(flax, torch_model, x, tx)
    found = {key for leaf in leaves for key in (leaf.key, *leaf.merged)}
    counters = {key for key in torch_model.state_dict() if key.endswith("num_batches_tracked")}
    assert torch_model.state_dict().keys() - found <= counters
    parts = [(key, leaf.rows) for leaf in leaves for key in (leaf.key, *leaf.merged)]
    assert len(parts) == len(set(parts))
    paths = {leaf.path for leaf in leaves}
    assert paths == {t.path for t in flax.tensors(x)}
    ours, theirs = outputs(flax, torch_model, leaves, x, tx)
    for left, right in zip(ours, theirs[: len(ours)], strict=True):
        if left.shape != right.shape:
            right = np.moveaxis(right, 1, -1)
        assert np.max(np.abs(left - right)) < 1e-10 * np.sqrt(np.mean(right**2))
    return leaves


class Chain(nnx.Module):
    def __init__(self, *layers: Any):
        self.parts = nnx.List(layers)

    def __call__(self, *args: Any) -> Any:
        x = self.parts[0](*args)
        for layer in self.parts[1:]:
            x = layer(x)
        return x


def nhwc_flatten(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)


T = torch.nn
X1, X2, X3 = values(2, 9, 4), values(2, 9, 7, 4), values(2, 5, 6, 7, 4)
IMAGES = {
    "conv 1d": (lambda: nnx.Conv(4, 6, (3,), padding=1, rngs=R), lambda: T.Conv1d(4, 6, 3, padding=1), X1),
    "conv 2d": (lambda: nnx.Conv(4, 4, (3, 3), padding=0, rngs=R), lambda: T.Conv2d(4, 4, 3), X2),
    "conv 3d": (lambda: nnx.Conv(4, 6, (2, 3, 2), padding=0, rngs=R), lambda: T.Conv3d(4, 6, (2, 3, 2)), X3),
    "grouped": (
        lambda: nnx.Conv(4, 6, (3, 3), padding=0, feature_group_count=2, rngs=R),
        lambda: T.Conv2d(4, 6, 3, groups=2),
        X2,
    ),
    "depthwise": (
        lambda: nnx.Conv(4, 4, (3, 3), strides=2, padding=1, feature_group_count=4, use_bias=False, rngs=R),
        lambda: T.Conv2d(4, 4, 3, stride=2, padding=1, groups=4, bias=False),
        X2,
    ),
    "dilated": (
        lambda: nnx.Conv(4, 6, (3, 3), padding=0, kernel_dilation=2, rngs=R),
        lambda: T.Conv2d(4, 6, 3, dilation=2),
        X2,
    ),
    "transposed, kernel exchanged": (
        lambda: nnx.ConvTranspose(4, 4, (3, 3), strides=2, padding=1, transpose_kernel=True, rngs=R),
        lambda: T.ConvTranspose2d(4, 4, 3, stride=2, padding=1),
        X2,
    ),
    "transposed, kernel flipped": (
        lambda: nnx.ConvTranspose(4, 4, (3, 3), strides=2, padding=1, rngs=R),
        lambda: T.ConvTranspose2d(4, 4, 3, stride=2, padding=1),
        X2,
    ),
    "transposed 1d": (
        lambda: nnx.ConvTranspose(4, 6, (3,), strides=2, padding=2, rngs=R),
        lambda: T.ConvTranspose1d(4, 6, 3, stride=2),
        X1,
    ),
    "batch norm": (lambda: nnx.BatchNorm(4, rngs=R), lambda: T.BatchNorm2d(4), X2),
    "batch norm of ours": (lambda: nn.BatchNorm(4), lambda: T.BatchNorm1d(4), X1),
    "group norm": (lambda: nnx.GroupNorm(4, 2, epsilon=1e-5, rngs=R), lambda: T.GroupNorm(2, 4), X2),
    "instance norm": (
        lambda: nnx.InstanceNorm(4, epsilon=1e-5, rngs=R),
        lambda: T.InstanceNorm2d(4, affine=True),
        X2,
    ),
    "prelu": (lambda: nnx.PReLU(), lambda: T.PReLU(), X2),
    "1x1 convolution as a dense layer": (lambda: nnx.Linear(4, 6, rngs=R), lambda: T.Conv2d(4, 6, 1), X2),
    "flatten in Flax's order": (
        lambda: Chain(nnx.Conv(4, 5, (3, 3), padding=0, rngs=R), nhwc_flatten, nnx.Linear(175, 175, rngs=R)),
        lambda: T.Sequential(T.Conv2d(4, 5, 3), T.Flatten(), T.Linear(175, 175)),
        X2,
    ),
    "flatten of height and width exchanged": (
        lambda: Chain(lambda x: nhwc_flatten(x.transpose(0, 2, 1, 3)), nnx.Linear(252, 5, rngs=R)),
        lambda: T.Sequential(T.Flatten(), T.Linear(252, 5)),
        X2,
    ),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_layers_of_images(kind):
    flax, torch_model, x = IMAGES[kind]
    verified(NNXModel(flax()), torch_model(), x, first(x))


S, TOKENS = values(3, 5, 8), np.arange(15).reshape(3, 5) % 8
ROWS = {
    "dense": (lambda: nnx.Linear(8, 8, rngs=R), lambda: T.Linear(8, 8), S),
    "general dense": (
        lambda: Chain(nnx.LinearGeneral(8, (2, 4), rngs=R), nnx.LinearGeneral((2, 4), 8, axis=(-2, -1), rngs=R)),
        lambda: T.Sequential(T.Linear(8, 8), T.Linear(8, 8)),
        S,
    ),
    "embedding": (lambda: nnx.Embed(8, 8, rngs=R, **F64), lambda: T.Embedding(8, 8), TOKENS),
    "layer norm": (lambda: nnx.LayerNorm(8, epsilon=1e-5, rngs=R), lambda: T.LayerNorm(8), S),
    "rms norm": (lambda: nnx.RMSNorm(8, epsilon=1e-6, rngs=R), lambda: T.RMSNorm(8, eps=1e-6), S),
}


@pytest.mark.parametrize("kind", ROWS)
def test_layers_of_features(kind):
    flax, torch_model, x = ROWS[kind]
    verified(NNXModel(flax()), torch_model(), x, torch.from_numpy(x))


LINEN = {
    "dense": (linen.Dense(8), lambda: T.Linear(8, 8), S),
    "embedding": (linen.Embed(8, 8, **F64), lambda: T.Embedding(8, 8), TOKENS),
    "transposed": (
        linen.ConvTranspose(8, (3,), padding="VALID", transpose_kernel=True),
        lambda: T.ConvTranspose1d(8, 8, 3),
        S,
    ),
    "transposed, flipped": (linen.ConvTranspose(8, (3,), padding="VALID"), lambda: T.ConvTranspose1d(8, 8, 3), S),
    "attention": (linen.MultiHeadDotProductAttention(2), lambda: SelfAttention(), S),
    "newer attention": (linen.MultiHeadAttention(2), lambda: SelfAttention(), S),
}


class SelfAttention(T.Module):
    def __init__(self, **options: Any):
        super().__init__()
        self.inner = T.MultiheadAttention(8, 2, batch_first=True, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x, x, x)[0]


def linen_model(module: linen.Module, *x: np.ndarray) -> LinenModel:
    return LinenModel(module, module.init(jax.random.key(0), *x))


@pytest.mark.parametrize("kind", LINEN)
def test_linen_layers(kind):
    module, torch_model, x = LINEN[kind]
    tx = torch.from_numpy(x)
    if "transposed" in kind:
        tx = first(x)
    verified(linen_model(module, x), torch_model(), x, tx)


def plain_attention(query: jax.Array, key: jax.Array, value: jax.Array, **_: Any) -> jax.Array:
    """Stock attention takes its softmax in float32."""
    weights = jnp.einsum("...qhd,...khd->...hqk", query, key) / np.sqrt(query.shape[-1])
    return jnp.einsum("...hqk,...khd->...qhd", jax.nn.softmax(weights), value)


def test_attention_of_three_inputs():
    q, k, v = values(2, 5, 8), values(2, 6, 3), values(2, 6, 3)
    theirs = T.MultiheadAttention(8, 2, kdim=3, vdim=3)
    ours = nnx.MultiHeadAttention(2, 8, in_kv_features=3, decode=False, attention_fn=plain_attention, rngs=R)
    turned = tuple(torch.from_numpy(x).transpose(0, 1) for x in (q, k, v))  # sequence first
    leaves = match(NNXModel(ours), theirs, (q, k, v), turned)
    assert {leaf.key for leaf in leaves} >= {"q_proj_weight", "k_proj_weight", "v_proj_weight"}
    left, right = outputs(NNXModel(ours), theirs, leaves, (q, k, v), turned)
    assert np.allclose(left[0], right[0].transpose(1, 0, 2), rtol=0, atol=1e-12)


class Encoder(nnx.Module):
    """torch.nn.TransformerEncoderLayer, norm last."""

    def __init__(self, rngs: nnx.Rngs):
        self.attend = nnx.MultiHeadAttention(2, 8, decode=False, attention_fn=plain_attention, rngs=rngs)
        self.after = nnx.LayerNorm(8, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.end = nnx.LayerNorm(8, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.narrow = nnx.Linear(8, 8, rngs=rngs)
        self.widen = nnx.Linear(8, 8, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.after(x + self.attend(x))
        return self.end(x + self.narrow(jax.nn.relu(self.widen(x))))


def test_transformer_encoder_layers():
    theirs = T.TransformerEncoder(T.TransformerEncoderLayer(8, 2, 8, batch_first=True), 2, enable_nested_tensor=False)
    verified(NNXModel(Chain(Encoder(R), Encoder(R))), theirs, S, torch.from_numpy(S))


CELLS = {"LSTM": nnx.LSTMCell, "optimized LSTM": nnx.OptimizedLSTMCell, "RNN": nnx.SimpleCell}
LINEN_CELLS = {
    "LSTM": linen.LSTMCell,
    "optimized LSTM": linen.OptimizedLSTMCell,
    "GRU": linen.GRUCell,
    "RNN": linen.SimpleCell,
}


class First(T.Module):
    """Without the final states."""

    def __init__(self, inner: T.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)[0]


def recurrent(kind: str, depth: int, both: bool) -> T.Module:
    return First(getattr(T, kind.split()[-1])(8, 8, depth, bidirectional=both, batch_first=True))


@pytest.mark.parametrize("depth, both", [(1, False), (3, False), (2, True)])
@pytest.mark.parametrize("kind", CELLS)
def test_recurrent_layers(kind, depth, both):
    def rnn(inputs: int) -> nnx.Module:
        single = lambda: nnx.RNN(CELLS[kind](inputs, 8, dtype=jnp.float64, rngs=R, **F64))  # noqa: E731
        return nnx.Bidirectional(single(), single()) if both else single()

    layers = [rnn(8 if i == 0 or not both else 16) for i in range(depth)]
    verified(NNXModel(Chain(*layers)), recurrent(kind, depth, both), S, torch.from_numpy(S))


class LinenStack(linen.Module):
    cell: type
    depth: int
    both: bool

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(self.depth):
            single = lambda: linen.RNN(self.cell(8, **F64))  # noqa: E731
            x = linen.Bidirectional(single(), single())(x) if self.both else single()(x)
        return x


@pytest.mark.parametrize("depth, both", [(2, False), (2, True)])
@pytest.mark.parametrize("kind", LINEN_CELLS)
def test_linen_recurrent_layers(kind, depth, both):
    model = linen_model(LinenStack(LINEN_CELLS[kind], depth, both), S)
    verified(model, recurrent(kind, depth, both), S, torch.from_numpy(S))


def test_control_a_gru_without_hidden_bias_is_refused():
    model = NNXModel(nnx.RNN(nnx.GRUCell(8, 8, rngs=R)))
    with pytest.raises(InputError, match=r"only in PyTorch: inner.bias_hh_l0 \(24,\).*nnx.GRUCell has no bias"):
        match(model, recurrent("GRU", 1, False), (S,), (torch.from_numpy(S),))


class StatesTorch(T.Module):
    def __init__(self):
        super().__init__()
        self.encoder = T.LSTM(8, 6, batch_first=True)
        self.decoder = T.LSTM(8, 6, batch_first=True)
        self.out = T.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, states = self.encoder(x)
        return self.out(self.decoder(x, states)[0])


class States(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.out = nnx.Linear(6, 6, rngs=rngs)
        self.second = nnx.RNN(nnx.OptimizedLSTMCell(8, 6, rngs=rngs, **F64))
        self.first = nnx.RNN(nnx.OptimizedLSTMCell(8, 6, rngs=rngs, **F64), return_carry=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        carry, _ = self.first(x)
        return self.out(self.second(x, initial_carry=carry))


def test_states_are_handed_on():
    leaves = verified(NNXModel(States(R)), StatesTorch(), S, torch.from_numpy(S))
    assert {leaf.key.split(".")[0] for leaf in leaves if leaf.path[0] == "first"} == {"encoder"}
