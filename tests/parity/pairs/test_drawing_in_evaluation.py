"""Models that draw random numbers in evaluation mode, too, as most variational autoencoders do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.errors import InputError

TABLE = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


class Coder(nnx.Module):
    """An autoencoder that always samples; `half`: the standard deviation is the root of the variance."""

    def __init__(self, half=True):
        rngs = nnx.Rngs(0)
        self.drop = nnx.Dropout(0.25, rngs=rngs)
        self.mean = nnx.Linear(6, 3, rngs=rngs)
        self.logvar = nnx.Linear(6, 3, rngs=rngs)
        self.decoder = nnx.Linear(3, 6, rngs=rngs)
        self.factor = 0.5 if half else 1.0
        self.rngs = rngs

    def __call__(self, x):
        h = self.drop(x)
        mean = self.mean(h)
        logvar = self.logvar(h)
        z = mean + jnp.exp(self.factor * logvar) * jax.random.normal(self.rngs.noise(), mean.shape)
        return self.decoder(z), mean, logvar


class TorchCoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = torch.nn.Dropout(0.25)
        self.mean = torch.nn.Linear(6, 3)
        self.logvar = torch.nn.Linear(6, 3)
        self.decoder = torch.nn.Linear(3, 6)

    def sampled(self, mean, logvar):
        std = torch.exp(0.5 * logvar)
        return mean + std * torch.randn_like(std)

    def forward(self, x):
        h = self.drop(x)
        mean = self.mean(h)
        logvar = self.logvar(h)
        return self.decoder(self.sampled(mean, logvar)), mean, logvar


class AlwaysDropping(TorchCoder):
    """A model whose dropout never stops: in PyTorch alone."""

    def forward(self, x):
        return super().forward(torch.nn.functional.dropout(x, 0.5))


def check(ours, theirs):
    return parity.check(ours, theirs, TABLE, steps=1)


@pytest.mark.slow
def test_what_both_draw_in_evaluation_is_the_same():
    result = check(Coder(), TorchCoder())
    assert result.status == "pass"
    assert any(str(row.key) == "evaluation/output.0" for row in result.rows["float64"])


@pytest.mark.slow
def test_a_wrong_standard_deviation_is_no_matter_of_chance():
    result = check(Coder(half=False), TorchCoder())
    wrong = {str(row.key) for row in result.rows["float64"] if not row.passed}
    assert {"evaluation/output.0", "forward/output.0"} <= wrong
    assert not wrong & {"evaluation/output.1", "forward/output.1"}


class Restless(nnx.Module):
    """Drops its inputs as `AlwaysDropping` does, or in training alone."""

    def __init__(self, always: bool):
        self.first, self.coder = nnx.Dropout(0.5, rngs=nnx.Rngs(1)), Coder()
        self.always = always

    def __call__(self, x):
        return self.coder(self.first(x, deterministic=False if self.always else None))


@pytest.mark.parametrize(
    "always", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in training alone", "control: always"]
)
def test_a_dropout_that_ends_in_evaluation_is_named(always):
    result = parity.check(Restless(always), AlwaysDropping(), TABLE, steps=1, tiers=("float64",))
    assert result.status == ("pass" if always else "fail"), result.blame
    assert always or result.blame and result.blame.cause == "dropout-in-evaluation", result.blame
    assert sum(not row.passed for row in result.rows["float64"]) == (not always)


def test_what_pytorch_drops_alone_throughout_is_told_once():
    result = parity.check(Coder(), AlwaysDropping(), TABLE, steps=1, tiers=("float64",))
    assert result.blame and result.blame.cause == "dropout-missing" and not result.blame.others


class Sampling(TorchCoder):
    """A model that samples where Flax's does not."""

    def sampled(self, mean, logvar):
        return super().sampled(mean, logvar) if self.training else super().sampled(mean, logvar).normal_()


def test_other_numbers_that_one_draws_alone_are_refused():
    with pytest.raises(InputError, match="PyTorch's model is not deterministic"):
        check(Coder(), Sampling())
