"""A loss that is wrong beside a layer is told too; one that differs because a layer does is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

import parity

pytestmark = pytest.mark.slow  # a search for a cause takes long; test_diagnosis_losses has quick ones

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


class Normed(linen.Module):
    """Its running variance is biased, as Flax's always is; another `epsilon` changes what it returns, too."""

    epsilon: float = 1e-5

    @linen.compact
    def __call__(self, x, train: bool = True):
        norm = linen.BatchNorm(not train, epsilon=self.epsilon, momentum=0.9, use_fast_variance=False, name="norm")
        return linen.Dense(3, name="out")(norm(x))


class TorchNormed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.out = torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.norm(x))


def focal(gamma):
    def loss(outputs, targets):
        p = jnp.take_along_axis(jax.nn.softmax(outputs), targets[:, None], 1)
        return -((1 - p) ** gamma * jnp.log(p)).mean()

    return loss


def torch_focal(outputs, targets):
    p = outputs.softmax(1).gather(1, targets[:, None])
    return -((1 - p) ** 2 * p.log()).mean()


@pytest.mark.parametrize(
    "epsilon, gamma, others",
    [(1e-5, 1.5, ["constant"]), (1e-5, 2, []), (1e-2, 2, [])],
    ids=["both", "control: statistics alone", "control: outputs differ"],
)
def test_a_wrong_loss_is_told_beside_a_wrong_buffer(epsilon, gamma, others):
    blame = parity.check(
        Normed(epsilon),
        TorchNormed(),
        X,
        loss=(focal(gamma), torch_focal),
        outputs="scores",
        steps=1,
        tiers=("float64",),
    ).blame
    assert blame and blame.layer == "norm", blame
    assert [other.cause for other in blame.others if other.layer == "loss"] == others, blame
    assert ("also wrong: the loss: Flax computes with 1.5 where PyTorch has 2" in blame.text) == bool(others)
