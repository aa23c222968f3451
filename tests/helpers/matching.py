"""Pairs of layers whose weight map is proven: found, complete, one to one, and right."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf, export, place
from parity.match import match
from parity.match.projections import slow_attention
from parity.match.randomized import randomize
from parity.models.flax_model import FlaxModel
from parity.models.linen_model import LinenModel
from parity.models.nnx_model import NNXModel

R = nnx.Rngs(0)
F64 = {"param_dtype": jnp.float64}


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def first(x: np.ndarray) -> torch.Tensor:
    """Returns the images with channels first."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def outputs(
    flax: FlaxModel, torch_model: torch.nn.Module, leaves: list[Leaf], x: tuple, tx: tuple
) -> tuple[list, list]:
    """Returns the outputs of both models, with new random weights brought over by the map."""
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
    """Returns the map, and proves everything of it."""
    x = x if isinstance(x, tuple) else (x,)
    tx = tx if isinstance(tx, tuple) else (tx,)
    leaves = match(flax, torch_model, x, tx)
    mapped = {key for leaf in leaves for key in (leaf.key, *leaf.merged)}
    counters = {key for key in torch_model.state_dict() if key.endswith("num_batches_tracked")}
    assert torch_model.state_dict().keys() - mapped <= counters
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


T = torch.nn
X1 = values(2, 9, 4)
X2 = values(2, 9, 7, 4)
X3 = values(2, 5, 6, 7, 4)


S = values(3, 5, 8)
TOKENS = np.arange(15).reshape(3, 5) % 8


def linen_model(module: linen.Module, *x: np.ndarray) -> LinenModel:
    return LinenModel(module, module.init(jax.random.key(0), *x))


def plain_attention(query: jax.Array, key: jax.Array, value: jax.Array, **_: Any) -> jax.Array:
    """Attention whose softmax keeps the dtype: that of stock attention is in float32."""
    weights = jnp.einsum("...qhd,...khd->...hqk", query, key) / np.sqrt(query.shape[-1])
    return jnp.einsum("...hqk,...khd->...qhd", jax.nn.softmax(weights), value)


class First(T.Module):
    """A recurrent layer without the final states."""

    def __init__(self, inner: T.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)[0]


def recurrent(kind: str, depth: int, both: bool) -> T.Module:
    return First(getattr(T, kind.split()[-1])(8, 8, depth, bidirectional=both, batch_first=True))


def keys_by_path(leaves: list) -> dict[tuple, str]:
    return {leaf.path: leaf.key for leaf in leaves}


def refusal(flax: nnx.Module, torch_model: torch.nn.Module, x: np.ndarray, tx: torch.Tensor) -> str:
    with pytest.raises(InputError) as error:
        match(NNXModel(flax), torch_model, (x,), (tx,))
    return str(error.value)
