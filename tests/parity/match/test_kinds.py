"""The weight map of every kind of layer is found, complete, one to one, and right; with negative controls."""

from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax import linen, nnx
from matching import (
    F64,
    TOKENS,
    X1,
    X2,
    X3,
    Chain,
    R,
    S,
    T,
    first,
    linen_model,
    outputs,
    plain_attention,
    values,
    verified,
)

from d2l_jax import nn
from parity.match import match
from parity.models.nnx_model import NNXModel


def nhwc_flatten(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)


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


@pytest.mark.parametrize("kind", LINEN)
def test_linen_layers(kind):
    module, torch_model, x = LINEN[kind]
    tx = torch.from_numpy(x)
    if "transposed" in kind:
        tx = first(x)
    verified(linen_model(module, x), torch_model(), x, tx)


def test_attention_of_three_inputs():
    q = values(2, 5, 8)
    k = values(2, 6, 3)
    v = values(2, 6, 3)
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
