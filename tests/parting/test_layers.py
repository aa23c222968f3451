"""Layers that differ."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx


def test_same_padding_with_a_stride():
    x = np.arange(1, 7, dtype=np.float32)
    conv = nnx.Conv(1, 1, (3,), strides=2, padding="SAME", use_bias=False, rngs=nnx.Rngs(0))
    conv.kernel[...] = jnp.ones((3, 1, 1), jnp.float32)
    theirs = torch.nn.functional.conv1d(torch.tensor(x)[None, None], torch.ones(1, 1, 3), stride=2, padding=1)
    assert np.asarray(conv(jnp.asarray(x)[None, :, None])).ravel().tolist() == [6, 12, 11]
    assert theirs.ravel().tolist() == [3, 9, 15]


def test_transposed_convolution():
    window = np.array([1, 2, 3], np.float32)
    point = np.array([0, 1, 0], np.float32)
    plain = nnx.ConvTranspose(1, 1, (3,), padding="VALID", use_bias=False, rngs=nnx.Rngs(0))
    turned = nnx.ConvTranspose(1, 1, (3,), padding="VALID", use_bias=False, transpose_kernel=True, rngs=nnx.Rngs(0))
    theirs = torch.nn.functional.conv_transpose1d(torch.tensor(point)[None, None], torch.tensor(window)[None, None])
    rows = []
    for layer in (plain, turned):
        layer.kernel[...] = jnp.asarray(window).reshape(layer.kernel.shape)
        rows.append(np.asarray(layer(jnp.asarray(point)[None, :, None])).ravel().tolist())
    assert rows == [[0, 3, 2, 1, 0], [0, 1, 2, 3, 0]] and theirs.ravel().tolist() == rows[1]


def test_biases_of_a_gru():
    cell = nnx.GRUCell(3, 2, rngs=nnx.Rngs(0))
    ours = sum(node.size for path, node in nnx.iter_graph(cell) if isinstance(node, nnx.Param) and path[-1] == "bias")
    theirs = sum(value.numel() for key, value in torch.nn.GRUCell(3, 2).state_dict().items() if "bias" in key)
    assert (ours, theirs) == (6, 12)


def test_a_query_without_keys():
    query, key, value = (np.random.default_rng(i).normal(size=(1, 2, 1, 4)).astype(np.float32) for i in range(3))
    none = np.zeros((1, 1, 2, 2), bool)
    ours = jax.nn.dot_product_attention(*map(jnp.asarray, (query, key, value)), mask=jnp.asarray(none))
    heads_first = (torch.tensor(x).transpose(1, 2) for x in (query, key, value))
    theirs = torch.nn.functional.scaled_dot_product_attention(*heads_first, attn_mask=torch.tensor(none))
    assert np.allclose(ours, np.broadcast_to(value.mean(1, keepdims=True), ours.shape), atol=1e-6)
    assert not theirs.any()
