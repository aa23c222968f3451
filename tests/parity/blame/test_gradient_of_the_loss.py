"""A loss that is as large as PyTorch's, and gives the model another gradient, is blamed itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


def focal(stops):
    stop = jax.lax.stop_gradient if stops else lambda x: x

    def loss(outputs, targets):
        p = jnp.take_along_axis(jax.nn.softmax(outputs), targets[:, None], 1)
        return -(stop((1 - p) ** 2) * jnp.log(p)).mean()

    return loss


def torch_focal(outputs, targets):
    p = outputs.softmax(1).gather(1, targets[:, None])
    return -((1 - p) ** 2 * p.log()).mean()


class Stopped(nnx.Module):
    def __init__(self, stops):
        self.first, self.last = (nnx.Linear(*sizes, rngs=nnx.Rngs(0)) for sizes in ((4, 5), (5, 3)))
        self.stops = stops

    def __call__(self, x):
        x = jnp.tanh(self.first(x))
        return self.last(jax.lax.stop_gradient(x) if self.stops else x)


@pytest.mark.parametrize(
    ("loss_stops", "model_stops", "layer"),
    [(True, False, "loss"), (False, True, "0")],
    ids=["of the loss", "control: of the model"],
)
def test_whose_gradient_it_is(loss_stops, model_stops, layer):
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    options = dict(loss=(focal(loss_stops), torch_focal), outputs="scores", steps=1, tiers=("float64",))
    blame = parity.check(Stopped(model_stops), theirs, X, **options).blame
    assert blame is not None and blame.layer == layer, blame
    assert blame.text.startswith("the loss, as large as PyTorch's, but not its gradient") == loss_stops
    assert "Flax stops the gradient" in blame.text
