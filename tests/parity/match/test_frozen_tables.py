"""Parameters that PyTorch's model has frozen and that Flax's computes, as the bins of a detector's distances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax import InputError

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
BINS = 4
TABLE = torch.arange(BINS)


class Expected(nnx.Module):
    """The mean of a distribution over bins."""

    def __init__(self, first: int):
        self.scores, self.first = nnx.Linear(3, BINS, rngs=nnx.Rngs(0)), first

    def __call__(self, x):
        return jax.nn.softmax(self.scores(x)) @ jnp.arange(self.first, self.first + BINS, dtype=x.dtype)


class TorchExpected(torch.nn.Module):
    def __init__(self, trained: bool, table: torch.Tensor | float = TABLE):
        super().__init__()
        self.scores, self.project = torch.nn.Linear(3, BINS), torch.nn.Linear(BINS, 1, bias=False)
        self.project.weight.data[:] = table
        self.project.requires_grad_(trained)

    def forward(self, x):
        return self.project(self.scores(x).softmax(-1))[:, 0]


@pytest.mark.parametrize("first, passes", [(0, True), (1, False)])
def test_a_table_in_a_frozen_layer_is_pytorchs_own(first, passes):
    theirs = TorchExpected(trained=False)
    result = parity.check(Expected(first), theirs, X, tiers=("float64",), steps=2)
    assert (result.status == "pass") is passes
    assert isinstance(theirs.project.weight, torch.nn.Parameter)  # the user's model stays as it was


@pytest.mark.parametrize("theirs", [TorchExpected(trained=True), TorchExpected(False, 1.0)], ids=["trained", "ones"])
def test_control_what_is_trained_or_a_mere_start_needs_its_partner(theirs):
    with pytest.raises(InputError, match="project.weight .1, 4. is only in PyTorch"):
        parity.check(Expected(0), theirs, X)


class Coupled(nnx.Module):
    """Moves all coordinates but those that it keeps, by what these are."""

    def __init__(self, kept: tuple[int, ...]):
        self.kept, rngs = kept, nnx.Rngs(0)
        self.shifts = nnx.List([nnx.Linear(3, 3, rngs=rngs) for _ in kept])

    def __call__(self, x):
        for kept, shift in zip(self.kept, self.shifts):
            mask = jnp.arange(3) == kept
            x = jnp.where(mask, x, x + shift(jnp.where(mask, x, 0)))
        return x


class TorchCoupled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mask = torch.nn.Parameter(torch.eye(3)[:2], requires_grad=False)
        self.shifts = torch.nn.ModuleList([torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)])

    def forward(self, x):
        for mask, shift in zip(self.mask, self.shifts):
            x = x + (1 - mask) * shift(mask * x)
        return x


@pytest.mark.parametrize("kept, passes", [((0, 1), True), ((0, 2), False)])
def test_frozen_masks_keep_their_numbers_in_the_search(kept, passes):
    result = parity.check(Coupled(kept), TorchCoupled(), X, tiers=("float64",), steps=1)
    assert (result.status == "pass") is passes


class Scaled(nnx.Module):
    def __init__(self, scale: float):
        self.scores, self.scale = nnx.Linear(3, BINS, rngs=nnx.Rngs(0)), scale

    def __call__(self, x):
        return self.scale * self.scores(x)


class TorchScaled(torch.nn.Module):
    """As PatchTST's attention holds one over the root of its heads' size."""

    def __init__(self, scale: float):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale), requires_grad=False)
        self.scores = torch.nn.Linear(3, BINS)

    def forward(self, x):
        return self.scale * self.scores(x)


@pytest.mark.parametrize("scale, passes", [(0.25, True), (0.5, False)])
def test_a_frozen_number_is_pytorchs_own(scale, passes):
    result = parity.check(Scaled(scale), TorchScaled(0.25), X, tiers=("float64",), steps=1)
    assert (result.status == "pass") is passes


def test_control_a_frozen_one_is_a_start():
    with pytest.raises(InputError, match="scale .. is only in PyTorch"):
        parity.check(Scaled(1.0), TorchScaled(1.0), X)
