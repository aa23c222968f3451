"""Parameters that stand in no layer, of one size and with misleading names: what they do tells which is which."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from parity.match import map_of
from parity.models.nnx_model import NNXModel

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
STAGES = 4


class Ours(nnx.Module):
    """Its parameters are numbered from the end, and its picture is as high as it is wide."""

    def __init__(self, sign: float = 1.0):
        self.constant = nnx.Param(jnp.ones((1, 4, 4, 3)))
        for stage in range(STAGES):
            setattr(self, f"factor_{stage}", nnx.Param(jnp.ones(1)))
            setattr(self, f"offset_{stage}", nnx.Param(jnp.zeros(3)))
        self.mixed = nnx.Param(jnp.ones((4, 4)))
        self.sign = sign

    def __call__(self, x):
        y = self.constant[...] * x[:, None, None, :]
        for stage in reversed(range(STAGES)):
            y = jnp.tanh(y * getattr(self, f"factor_{stage}")[...] + getattr(self, f"offset_{stage}")[...])
        return jnp.einsum("bhwc,hv->bvwc", y, self.mixed[...]) * self.sign


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.picture = torch.nn.Parameter(torch.ones(1, 3, 4, 4))
        for stage in range(STAGES):
            setattr(self, f"gain_{stage}", torch.nn.Parameter(torch.ones(1)))
            setattr(self, f"shift_{stage}", torch.nn.Parameter(torch.zeros(3)))
        self.slopes = torch.nn.Parameter(torch.ones(4, 4))

    def forward(self, x):
        y = self.picture * x[:, :, None, None]
        for stage in range(STAGES):
            y = torch.tanh(y * getattr(self, f"gain_{stage}") + getattr(self, f"shift_{stage}")[:, None, None])
        return torch.einsum("bchw,vh->bcvw", y, self.slopes)


@pytest.mark.parametrize("sign, agrees", [(1.0, True), (-1.0, False)])
def test_parameters_of_one_size_are_told_by_what_they_do(sign, agrees):
    theirs = Theirs()
    found = map_of(NNXModel(Ours(sign)), theirs, (X,), (torch.from_numpy(X),))
    assert found.agrees is agrees
    if agrees:
        partners = {leaf.key: leaf for leaf in found.leaves}
        names = {"gain": "factor", "shift": "offset"}.items()
        numbers = {f"{name}_{n}": (f"{own}_{STAGES - 1 - n}",) for name, own in names for n in range(STAGES)}
        assert {key: partners[key].path for key in numbers} == numbers
        assert partners["picture"].axes == (2, 0, 1) and partners["slopes"].axes == (1, 0)
