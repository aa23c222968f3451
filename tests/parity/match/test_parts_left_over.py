"""Arrays that hold what PyTorch has in several layers, and a table whose rows PyTorch takes apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.errors import InputError
from parity.match import map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
LABELS = np.array([0, 3, 1, 2], np.int32)


class Tables(nnx.Module):
    """A table for the shift, and one for the scale; `sign`: of the shift."""

    def __init__(self, sign=1):
        self.shift, self.scale = (nnx.Embed(4, 6, rngs=nnx.Rngs(n)) for n in range(2))
        self.sign = sign

    def __call__(self, x, labels):
        return jnp.tanh(x) * self.scale(labels) + self.sign * self.shift(labels)


class TorchTables(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(4, 12)

    def forward(self, x, labels):
        scale, shift = self.table(labels).chunk(2, -1)
        return torch.tanh(x) * scale + shift


@pytest.mark.parametrize(("sign", "status"), [(1, "pass"), (-1, "fail")])
def test_a_table_that_pytorch_takes_apart_is_two_of_flaxs(sign, status):
    result = parity.check(Tables(sign), TorchTables(), (X, LABELS), steps=1, tiers=("float64",))
    assert result.status == status, result.blame


class Experts(nnx.Module):
    """All experts in four arrays; the first biases of both blocks have as many numbers as a kernel of PyTorch's."""

    def __init__(self, rngs):
        drawn = lambda *shape: nnx.Param(jax.random.normal(rngs.params(), shape))  # noqa: E731
        self.router = drawn(6, 3)
        self.w1, self.b1, self.w2, self.b2 = drawn(3, 6, 7), drawn(3, 7), drawn(3, 7, 6), drawn(3, 6)

    def __call__(self, x):
        h = jnp.tanh(jnp.einsum("bd,edf->bef", x, self.w1[...]) + self.b1[...])
        y = jnp.einsum("bef,efd->bed", h, self.w2[...]) + self.b2[...]
        return jnp.einsum("be,bed->bd", jax.nn.softmax(x @ self.router[...]), y)


class TorchExperts(torch.nn.Module):
    def __init__(self, count):
        super().__init__()
        self.gate = torch.nn.Linear(6, count, bias=False)
        self.experts = torch.nn.ModuleList(
            torch.nn.Sequential(torch.nn.Linear(6, 7), torch.nn.Tanh(), torch.nn.Linear(7, 6)) for _ in range(count)
        )

    def forward(self, x):
        shares = self.gate(x).softmax(-1)
        return sum(shares[:, n, None] * expert(x) for n, expert in enumerate(self.experts))


def found(count):
    ours = nnx.Sequential(*(Experts(nnx.Rngs(n)) for n in range(2)))
    theirs = torch.nn.Sequential(*(TorchExperts(count) for _ in range(2)))
    return map_of(NNXModel(ours), theirs, (X,), (torch.tensor(X),))


def test_biases_of_experts_in_one_array_are_no_rows_of_a_kernel():
    weight_map = found(3)
    assert weight_map.agrees
    parts = {leaf.key: leaf.path[-1].partition("[")[0] for leaf in weight_map.leaves}
    assert {parts[f"{block}.experts.{n}.0.bias"] for block in range(2) for n in range(3)} == {"b1"}


def test_control_an_expert_more_is_not_matched():
    with pytest.raises(InputError, match=r"experts\.3"):
        found(4)
