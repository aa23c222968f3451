"""PyTorch's weights in a Flax model of other names and layouts, by the map that a check has found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from matching import values

import parity
from d2l_jax import InputError
from parity.match import map_of
from parity.models.linen_model import LinenModel
from parity.models.nnx_model import NNXModel
from parity.models.unstacked import unstacked

X = values(4, 5, 6).astype(np.float32)


class Block(nnx.Module):
    def __init__(self, rngs):
        self.lin = nnx.Linear(6, 6, rngs=rngs)

    def __call__(self, x):
        return x + jnp.tanh(self.lin(x))


class Stacked(nnx.Module):
    """Three blocks in one array, and PyTorch's joint projection in three."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.blocks = nnx.split_rngs(splits=3)(nnx.vmap(Block))(rngs)
        self.attn = nnx.MultiHeadAttention(2, 6, decode=False, rngs=rngs)

    def __call__(self, x):
        return self.attn(
            nnx.scan(lambda x, block: block(x), out_axes=nnx.Carry, in_axes=(nnx.Carry, 0))(x, self.blocks)
        )


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(6, 6)

    def forward(self, x):
        return x + torch.tanh(self.fc(x))


class TorchStack(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(*(TorchBlock() for _ in range(3)))
        self.att = torch.nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        x = self.layers(x)
        return self.att(x, x, x, need_weights=False)[0]


class Normalised(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.BatchNorm(use_running_average=True, epsilon=1e-5, name="n")(linen.Dense(8, name="a")(x))
        return linen.Dense(3, name="b")(x)


def torch_normalised():
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3))
    net(torch.tensor(X[:, 0]))  # running statistics that are not those of the start
    return net.eval()


@pytest.fixture(scope="module")
def stacked():
    """Two models, and their map."""
    ours, theirs = Stacked(), TorchStack()
    shapes = [tuple(tensor.shape) for tensor in theirs.parameters()]
    flax = unstacked(NNXModel(ours), (X,), shapes)
    found = map_of(flax, theirs, (X,), (torch.tensor(X),))
    assert found.agrees
    return ours, theirs, found.leaves


@pytest.fixture(scope="module")
def normalised():
    theirs = torch_normalised()
    variables = Normalised().init(jax.random.key(0), X[:, 0])
    found = map_of(LinenModel(Normalised(), variables), theirs, (X[:, 0],), (torch.tensor(X[:, 0]),))
    assert found.agrees
    return variables, theirs, found.leaves


def test_layers_of_a_stack_and_parts_of_a_tensor_load(stacked, tmp_path):
    ours, theirs, leaves = stacked
    parity.save_map(leaves, tmp_path / "map.json")
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "last.ckpt")
    assert parity.load_by_map(ours, tmp_path / "last.ckpt", tmp_path / "map.json") is ours
    np.testing.assert_allclose(ours(jnp.asarray(X)), theirs(torch.tensor(X)).detach(), atol=1e-5)


def test_variables_of_linen_are_copied(normalised):
    variables, theirs, leaves = normalised
    before = jax.tree.map(np.array, variables)
    loaded = parity.load_by_map(variables, theirs, leaves)
    jax.tree.map(np.testing.assert_array_equal, before, variables)
    assert jax.tree.structure(loaded) == jax.tree.structure(variables)
    outputs = Normalised().apply(loaded, jnp.asarray(X[:, 0]))
    np.testing.assert_allclose(outputs, theirs(torch.tensor(X[:, 0])).detach(), atol=1e-6)


def test_numbers_stay_as_precise_as_the_model_is(normalised):
    variables, theirs, leaves = normalised
    halves = jax.tree.map(lambda x: x.astype(jnp.bfloat16), variables)
    assert {x.dtype for x in jax.tree.leaves(parity.load_by_map(halves, theirs, leaves))} == {jnp.dtype("bfloat16")}
    wide = parity.load_by_map(halves, theirs.double().state_dict(), leaves, jnp.float64)
    np.testing.assert_array_equal(wide["params"]["a"]["kernel"], theirs[0].weight.detach().T)
    theirs.float()


def test_tied_tensors_that_differ_are_refused():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = torch.nn.Embedding(7, 4), torch.nn.Linear(4, 7, bias=False)
            self.out.weight = self.table.weight

        def forward(self, ids):
            return self.out(self.table(ids))

    class Ours(nnx.Module):
        def __init__(self):
            self.embed = nnx.Embed(7, 4, rngs=nnx.Rngs(0))

        def __call__(self, ids):
            return self.embed.attend(self.embed(ids))

    ids = np.arange(6).reshape(2, 3) % 7
    theirs = Tied()
    leaves = map_of(NNXModel(Ours()), theirs, (ids,), (torch.tensor(ids),)).leaves
    loaded = parity.load_by_map(Ours(), theirs, leaves)
    np.testing.assert_array_equal(loaded.embed.embedding[...], theirs.table.weight.detach())
    apart = {key: tensor + number for number, (key, tensor) in enumerate(theirs.state_dict().items())}
    with pytest.raises(InputError, match="are one tensor in the model, but differ"):
        parity.load_by_map(Ours(), apart, leaves)


def test_what_does_not_fit_is_one_line_and_nothing_changes(stacked, normalised):
    ours, theirs, leaves = stacked
    variables, other, of_linen = normalised
    before = np.array(ours.blocks.lin.kernel)
    halved = {key: tensor[:5] if key == "att.in_proj_bias" else tensor for key, tensor in theirs.state_dict().items()}
    with pytest.raises(InputError, match=r"att.in_proj_bias has shape \(5,\) where \(18,\) is right"):
        parity.load_by_map(ours, halved, leaves)
    with pytest.raises(InputError, match="the map has a.kernel, and Stacked not: it is another model's"):
        parity.load_by_map(ours, theirs, of_linen)
    without = [leaf for leaf in leaves if not leaf.key.startswith("layers")]
    with pytest.raises(InputError, match=r"Stacked holds blocks.lin.bias \(3, 6\); the map lacks it"):
        parity.load_by_map(ours, {leaf.key: theirs.state_dict()[leaf.key] for leaf in without}, without)
    with pytest.raises(InputError, match="missing 1.running_mean"):
        parity.load_by_map(variables, {k: v for k, v in other.state_dict().items() if "mean" not in k}, of_linen)
    with pytest.raises(InputError, match="weights is no map"):
        parity.load_by_map(ours, theirs, {"fc.weight": "lin.kernel"})
    with pytest.raises(InputError, match="weights go into an NNX module, or the variables"):
        parity.load_by_map(Normalised(), other, of_linen)
    np.testing.assert_array_equal(before, ours.blocks.lin.kernel)
