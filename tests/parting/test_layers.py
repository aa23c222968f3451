"""Layers that differ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
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


def test_an_attention_layer_of_pytorchs_without_keys():
    x = torch.ones(1, 3, 4)
    layer = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    none = torch.ones(1, 3, dtype=torch.bool)
    outputs = [layer(x, x, x, key_padding_mask=none, need_weights=needed)[0] for needed in (True, False)]
    assert outputs[0].isnan().all() and torch.equal(outputs[1], layer.out_proj.bias.expand(1, 3, 4))


def test_a_causal_hint_beside_a_mask():
    torch.manual_seed(0)
    layer = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    x = torch.randn(1, 3, 4)
    later = x.clone()
    later[0, 2] += 1

    def first(x: torch.Tensor, needed: bool) -> torch.Tensor:
        return layer(x, x, x, attn_mask=torch.zeros(3, 3), is_causal=True, need_weights=needed)[0][0, 0]

    assert torch.equal(first(x, False), first(later, False)) and not torch.allclose(first(x, True), first(later, True))


@pytest.mark.slow
def test_decoding_with_a_causal_hint(set_jax):
    set_jax("jax_numpy_dtype_promotion", "standard")
    layer = nnx.MultiHeadAttention(2, 4, decode=True, rngs=nnx.Rngs(0))
    words = jnp.asarray(np.random.default_rng(0).normal(size=(1, 3, 4)), jnp.float32)

    def decoded(hint: bool) -> np.ndarray:
        layer.init_cache((1, 3, 4))
        return np.concatenate([np.asarray(layer(words[:, i : i + 1], is_causal=hint)[0]) for i in range(3)])

    assert np.array_equal(*decoded(True)[1:]) and not np.allclose(*decoded(False)[1:])


def test_attention_in_float64(set_jax):
    set_jax("jax_numpy_dtype_promotion", "standard")
    query, key, value = (np.random.default_rng(i).normal(size=(1, 5, 1, 4)) for i in range(3))
    ours = jax.nn.dot_product_attention(*(jnp.asarray(x, jnp.float64) for x in (query, key, value)))
    heads_first = (torch.tensor(x).transpose(1, 2) for x in (query, key, value))
    theirs = torch.nn.functional.scaled_dot_product_attention(*heads_first).transpose(1, 2).numpy()
    assert ours.dtype == jnp.float64 and 1e-10 < abs(np.asarray(ours) - theirs).max() < 1e-5


def test_biases_of_an_lstm():
    cell = nnx.LSTMCell(3, 2, rngs=nnx.Rngs(0))
    ours = sum(node.size for path, node in nnx.iter_graph(cell) if isinstance(node, nnx.Param) and path[-1] == "bias")
    theirs = sum(value.numel() for key, value in torch.nn.LSTMCell(3, 2).state_dict().items() if "bias" in key)
    assert (ours, theirs) == (8, 16)


def test_an_average_at_the_edge(set_jax):
    set_jax("jax_numpy_dtype_promotion", "standard")
    ours = nnx.avg_pool(jnp.ones((1, 3, 1)), (2,), (2,), padding="SAME")
    theirs = torch.nn.functional.avg_pool1d(torch.ones(1, 1, 3), 2, 2, ceil_mode=True)
    assert (ours.ravel().tolist(), theirs.ravel().tolist()) == ([1, 0.5], [1, 1])


@pytest.mark.filterwarnings("ignore")
def test_padding_behind_an_encoder_of_pytorchs():
    layer = torch.nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, 1, norm=torch.nn.LayerNorm(4))
    padding = torch.tensor([[False, False, True], [False, False, False]])
    x = torch.randn(2, 3, 4)
    with torch.no_grad():
        trained = encoder(x, src_key_padding_mask=padding)
        evaluated = encoder.eval()(x, src_key_padding_mask=padding)
    torch.testing.assert_close(trained[~padding], evaluated[~padding])
    assert not evaluated[padding].any() and trained[padding].all()
