"""Modules as papers write them: flows whose training diverges, bags, hidden layers that differ, both directions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen, nnx

import parity
from d2l_jax import InputError

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
IDS = np.random.default_rng(0).integers(0, 7, size=(4, 5))
exact = partial(parity.check, tiers=("float64",))


class Grown(nnx.Module):
    def __init__(self, rngs, factor=30):
        self.lin = nnx.Linear(3, 3, rngs=rngs)
        self.factor = factor

    def __call__(self, x):
        return self.factor * self.lin(x) ** 3


class TorchGrown(torch.nn.Module):
    def __init__(self, factor=30):
        super().__init__()
        self.lin = torch.nn.Linear(3, 3)
        self.factor = factor

    def forward(self, x):
        return self.factor * self.lin(x) ** 3


@pytest.mark.parametrize("factor", [30, 1000])  # the second diverges at the first of the smaller rates as well
def test_training_that_diverges_is_slower_where_no_optimiser_is_named(factor):
    result = exact(Grown(nnx.Rngs(0), factor), TorchGrown(factor), X)
    result.raise_if_failed()
    assert {row.key.step for row in result.rows["float64"]} >= {1, 5}
    named = (optax.sgd(0.1), lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    with pytest.raises(InputError, match="in PyTorch at step .; a smaller learning rate, or steps=., is right"):
        exact(Grown(nnx.Rngs(0), factor), TorchGrown(factor), X, optimizer=named)


class Refusing(TorchGrown):
    """Raises where training has diverged, as `binary_cross_entropy` does for what is no probability."""

    def forward(self, x):
        grown = super().forward(x)
        if not grown.abs().max() < 1e6:
            raise ValueError("a number is too large")
        return grown


def test_a_model_that_refuses_what_diverging_training_has_made_of_it_is_trained_slower():
    result = exact(Grown(nnx.Rngs(0)), Refusing(), X)
    result.raise_if_failed()
    assert any("a number is too large: all steps were taken anew" in note for note in result.notes)
    assert {row.key.step for row in result.rows["float64"]} >= {1, 5}
    named = (optax.sgd(0.1), lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    said = "PyTorch's model does not run at step .: ValueError: a number is too large; a smaller learning rate"
    with pytest.raises(InputError, match=said):
        exact(Grown(nnx.Rngs(0)), Refusing(), X, optimizer=named)


class Waves(linen.Module):
    factors: tuple[float, ...]

    @linen.compact
    def __call__(self, x):
        for number, factor in enumerate(self.factors):
            x = jnp.sin(factor * linen.Dense(3, name=f"layer_{number}")(x))
        return x


class TorchWave(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 3)

    def forward(self, x):
        return torch.sin(5.0 * self.linear(x))


class TorchWaves(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(*(TorchWave() for _ in range(3)))

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize(("factors", "first", "text"), [((5, 1, 1), 1, "in 1 and 2"), ((1, 1, 5), 0, "in 0 and 1")])
def test_a_factor_in_all_layers_but_one(factors, first, text):
    blame = exact(Waves(factors), TorchWaves(), X, steps=1).blame
    assert blame and (blame.layer, blame.cause) == (f"net.{first}", "factor-missing")
    assert f"{text}: Flax does not multiply by 5" in blame.text


class Coupled(nnx.Module):
    def __init__(self, rngs, sign):
        self.lin, self.sign = nnx.Linear(3, 3, rngs=rngs), sign

    def __call__(self, x):
        y = jnp.tanh(self.lin(x))
        return (x**2).sum(1) + self.sign * y.sum(1)


class TorchCoupled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = torch.nn.Linear(3, 3)

    def forward(self, x):
        return (x**2).sum(1) + torch.tanh(self.lin(x)).sum(1)


def test_a_term_that_is_subtracted_is_named():
    assert exact(Coupled(nnx.Rngs(0), 1), TorchCoupled(), X, steps=1)
    blame = exact(Coupled(nnx.Rngs(0), -1), TorchCoupled(), X, steps=1).blame
    assert blame and (blame.cause, "subtracts the second term" in blame.text) == ("sign", True)


class Bag(nnx.Module):
    def __init__(self, rngs, turned):
        self.rows, self.top, self.turned = nnx.Embed(7, 4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs), turned

    def __call__(self, ids):
        x = self.rows(ids).sum(1)
        return self.top(x[:, ::-1] if self.turned else x)


class TorchBag(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rows, self.top = torch.nn.EmbeddingBag(7, 4, mode="sum"), torch.nn.Linear(4, 2)

    def forward(self, ids):
        return self.top(self.rows(ids).flip(1).flip(1))


def test_a_bag_whose_rows_flax_adds_up_outside_of_the_layer_is_not_blamed():
    blame = exact(Bag(nnx.Rngs(0), True), TorchBag(), IDS, steps=1).blame
    assert blame and "before top" in blame.text and blame.layer != "rows"


class Gates(nnx.Module):
    def __init__(self, rngs):
        self.dense_i, self.dense_h = nnx.Linear(3, 6, rngs=rngs), nnx.Linear(2, 6, rngs=rngs)

    def read(self, x):
        def step(h, x):
            (ir, iz, i_n), (hr, hz, hn) = (jnp.split(y, 3, -1) for y in (self.dense_i(x), self.dense_h(h)))
            r, z = nnx.sigmoid(ir + hr), nnx.sigmoid(iz + hz)
            h = (1 - z) * jnp.tanh(i_n + r * hn) + z * h
            return h, h

        return jax.lax.scan(step, jnp.zeros((len(x), 2), x.dtype), x.swapaxes(0, 1))[1].swapaxes(0, 1)


class BothWays(nnx.Module):
    def __init__(self, rngs):
        self.fwd, self.bwd = Gates(rngs), Gates(rngs)

    def __call__(self, x):
        return jnp.concatenate([self.fwd.read(x), self.bwd.read(x[:, ::-1])[:, ::-1]], -1)


class TorchBothWays(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = torch.nn.GRU(3, 2, batch_first=True, bidirectional=True)

    def forward(self, x):
        return self.gru(x)[0]


@pytest.mark.slow
def test_names_tell_which_dense_layers_read_backwards():
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    exact(BothWays(nnx.Rngs(0)), TorchBothWays(), x, steps=1).raise_if_failed()
