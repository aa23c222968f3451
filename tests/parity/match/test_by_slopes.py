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
    assert not found(JointCell(nnx.relu), Cell()).agrees


def test_units_of_every_gate_stay_in_their_order():
    assert not found(JointCell(turned=True), Cell()).agrees
