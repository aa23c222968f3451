"""Arrays that hold tensors in ways that no shape tells: slopes find them, and what only looks so is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from parity.match import load_by_map, load_map, map_of, save_map
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(3, 2, 5)).astype(np.float32)


class Cell(torch.nn.Module):
    """A network of a memory: one dense layer of inputs, one of states, gates i, f, g and o."""

    def __init__(self):
        super().__init__()
        self.of_input, self.of_state = torch.nn.Linear(5, 12), torch.nn.Linear(3, 12, bias=False)
        self.out = torch.nn.Linear(3, 2)

    def forward(self, x):
        h = c = x.new_zeros(len(x), 3)
        for step in x.unbind(1):
            i, f, g, o = (self.of_input(step) + self.of_state(h)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.out(h)


class JointCell(nnx.Module):
    """The same with one kernel for states and inputs together, whose gates stand in another order."""

    def __init__(self, activation=jnp.tanh, turned=False):
        rngs = nnx.Rngs(0)
        self.joint, self.out = nnx.Linear(8, 12, rngs=rngs), nnx.Linear(3, 2, rngs=rngs)
        self.activation, self.turned = activation, turned

    def __call__(self, x):
        h = c = jnp.zeros((len(x), 3), x.dtype)
        for n in range(x.shape[1]):
            y = self.joint(jnp.concatenate([h, x[:, n]], -1))
            o, f, g, i = y.reshape(-1, 3, 4).swapaxes(1, 2).swapaxes(0, 1) if self.turned else jnp.split(y, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * self.activation(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return self.out(h)


def found(ours, theirs, x=X):
    return map_of(NNXModel(ours), theirs, (x,), (torch.tensor(x),))


def test_a_kernel_of_inputs_and_states_with_other_gates_is_found_saved_and_loaded(tmp_path):
    ours, theirs = JointCell(), Cell()
    found_map = found(ours, theirs)
    assert found_map.agrees
    save_map(found_map.leaves, tmp_path / "map.json")
    assert [leaf.numbers for leaf in load_map(tmp_path / "map.json")] == [leaf.numbers for leaf in found_map.leaves]
    load_by_map(ours, theirs.state_dict(), tmp_path / "map.json")
    np.testing.assert_allclose(ours(X), theirs(torch.tensor(X)).detach(), atol=1e-5)


def test_no_order_of_numbers_explains_another_activation():
    other = found(JointCell(nnx.relu), Cell())
    assert not other.agrees and not other.reordered


def test_units_of_every_gate_stay_in_their_order():
    other = found(JointCell(turned=True), Cell())
    assert not other.agrees and set(other.reordered) == {"of_input.weight", "of_input.bias", "of_state.weight"}


class Tables(torch.nn.Module):
    """A table of vectors and one of numbers, whose rows are not all used."""

    def __init__(self):
        super().__init__()
        self.vectors, self.numbers = torch.nn.Embedding(9, 3), torch.nn.Embedding(9, 1)

    def forward(self, ids):
        return torch.tanh(self.vectors(ids)).prod(-1) + self.numbers(ids)[..., 0]


class OneTable(nnx.Module):
    def __init__(self):
        self.table = nnx.Embed(9, 4, rngs=nnx.Rngs(0))

    def __call__(self, ids):
        rows = self.table(ids)
        return jnp.tanh(rows[..., 1:]).prod(-1) + rows[..., 0]


def test_rows_that_no_index_names_stand_where_the_others_say():
    ids = np.array([[0, 2, 5], [7, 2, 1]])
    one = found(OneTable(), Tables(), ids)
    assert one.agrees
    places = {leaf.key: np.array(leaf.numbers[0][3]).reshape(leaf.shape) for leaf in one.leaves}
    np.testing.assert_array_equal(places["numbers.weight"][:, 0], np.arange(9) * 4)
    np.testing.assert_array_equal(places["vectors.weight"], np.arange(36).reshape(9, 4)[:, 1:])


class Spectrum(torch.nn.Module):
    """Complex weights as pairs of numbers, (inputs, outputs, modes, 2)."""

    def __init__(self):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.randn(2, 5, 3, 2))

    def forward(self, x):
        out = torch.einsum("bmi,iom->bmo", torch.fft.rfft(x, dim=1), torch.view_as_complex(self.weights))
        return torch.fft.irfft(out, n=x.shape[1], dim=1)


class InTwo(nnx.Module):
    def __init__(self):
        random = nnx.Rngs(0)
        self.re, self.im = (nnx.Param(jax.random.normal(random.params(), (2, 5, 3))) for _ in range(2))

    def __call__(self, x):
        out = jnp.einsum("bmi,iom->bmo", jnp.fft.rfft(x, axis=1), self.re[...] + 1j * self.im[...])
        return jnp.fft.irfft(out, n=x.shape[1], axis=1)


def test_real_and_imaginary_parts_in_arrays_of_their_own():
    x = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
    assert found(InTwo(), Spectrum(), x).agrees
