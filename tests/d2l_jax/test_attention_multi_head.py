"""Multi-head attention beside PyTorch's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from twins import in_jax, in_torch, normal, outline

import parity
from d2l_jax import eval_view, intermediates, models
from d2l_jax.errors import InputError


# Multi-head attention
def test_heads_must_divide_the_hidden_units():
    with pytest.raises(InputError, match="10 hidden units for 3 heads"):
        models.MultiHeadAttention(10, 3, 0.0, rngs=nnx.Rngs(0))


SHAPES = st.tuples(*[st.integers(1, 5)] * 3, st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=12, deadline=None)
@given(shapes=SHAPES, bias=st.booleans(), masked=st.booleans(), seed=st.integers(0, 99))
@pytest.mark.slow
def test_multi_head_attention_is_pytorchs(shapes, bias, masked, seed):
    """Outputs, weights and gradients are PyTorch's, whose minus infinity gives the same zeros as -1e6."""
    batch, queries, keys, heads, head_size = shapes
    hiddens = heads * head_size
    random = np.random.default_rng(seed)
    lens = random.integers(1, keys + 1, batch) if masked else None
    arrays = [random.normal(size=(batch, steps, hiddens)) for steps in (queries, keys, keys, queries)]
    torch.manual_seed(seed)
    stock = torch.nn.MultiheadAttention(hiddens, heads, bias=bias, batch_first=True).double()
    for left, right in zip(of_flax(stock, arrays, lens), of_pytorch(stock, arrays, lens), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-13)


def of_pytorch(stock, arrays, lens):
    """Returns (outputs, weights, gradients of the inputs, of the in-projection, of the out-projection)."""
    *inputs, cotangent = in_torch(*arrays)
    inputs = [x.requires_grad_() for x in inputs]
    padding = None if lens is None else torch.arange(inputs[1].shape[1]) >= torch.tensor(lens)[:, None]
    outputs, weights = stock(*inputs, key_padding_mask=padding, average_attn_weights=False)
    trained = [stock.in_proj_weight, stock.out_proj.weight]
    gradients = torch.autograd.grad(outputs, [*inputs, *trained], cotangent)
    return [tensor.detach() for tensor in (outputs, weights, *gradients)]


def of_flax(stock, arrays, lens):
    hiddens = stock.embed_dim
    bias = stock.in_proj_bias is not None
    ours = outline("MultiHeadAttention", num_hiddens=hiddens, num_heads=stock.num_heads, dropout=0.0, bias=bias)
    parity.load_state_dict(ours, split(stock.state_dict()), jnp.float64)
    apply, params, buffers = intermediates(eval_view(ours))
    *inputs, cotangent = in_jax(*arrays)
    rest = () if lens is None else in_jax(lens)

    @jax.jit
    def run(params, *inputs):
        outputs, pull, sown = jax.vjp(lambda p, *x: apply(p, buffers, *x, *rest), params, *inputs, has_aux=True)
        return outputs, pull(cotangent), sown["attention"]["attention_weights"][0]

    outputs, (grads, *input_grads), weights = run(params, *inputs)
    in_proj = jnp.concatenate([grads[name]["kernel"].T for name in ("W_q", "W_k", "W_v")])
    heads_apart = weights.reshape(-1, stock.num_heads, *weights.shape[1:])
    return [outputs, heads_apart, *input_grads, in_proj, grads["W_o"]["kernel"].T]


def split(state_dict):
    """Splits the matrix in which PyTorch has the projections of queries, keys and values."""
    renamed = {}
    for kind in ("weight", "bias"):
        if f"in_proj_{kind}" in state_dict:
            parts = state_dict[f"in_proj_{kind}"].chunk(3)
            renamed |= {f"{name}.{kind}": part for name, part in zip(("W_q", "W_k", "W_v"), parts, strict=True)}
            renamed[f"W_o.{kind}"] = state_dict[f"out_proj.{kind}"]
    return renamed


def test_heads_that_are_split_otherwise_are_noticed():
    """The control: units dealt out to the heads one by one, instead of in chunks."""
    stock = torch.nn.MultiheadAttention(6, 3, bias=False, batch_first=True).double()
    arrays = [normal(2, steps, 6, seed=seed) for seed, steps in enumerate((3, 5, 5, 3))]
    right = of_pytorch(stock, arrays, None)[0]
    rows = np.arange(6).reshape(3, 2).T.reshape(-1)
    with torch.no_grad():
        stock.in_proj_weight.copy_(torch.cat([part[rows] for part in stock.in_proj_weight.chunk(3)]))
    assert not np.allclose(of_flax(stock, arrays, None)[0], right)
