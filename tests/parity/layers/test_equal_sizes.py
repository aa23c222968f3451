"""Images as high and as wide as they have channels: shapes do not tell the layout, the numbers do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

import parity
from parity.layers.nearest import nearest_axes
from parity.report.coverage import coverage

IMAGES = np.random.default_rng(0).normal(size=(3, 4, 4, 4)).astype(np.float32)


class Block(linen.Module):
    """A block that is channels last throughout, as all of Flax is."""

    eps: float = 1e-6

    @linen.compact
    def __call__(self, x):
        y = linen.Conv(4, (3, 3), padding=1, feature_group_count=4, name="depthwise")(x)
        y = linen.LayerNorm(epsilon=self.eps, name="norm")(y)
        return x + linen.Dense(4, name="down")(linen.relu(linen.Dense(6, name="up")(y)))


class TorchNorm(torch.nn.Module):
    """A norm over the last axis, written by hand: its class does not tell the layout either."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(4))
        self.bias = torch.nn.Parameter(torch.zeros(4))

    def forward(self, x):
        return torch.nn.functional.layer_norm(x, (4,), self.weight, self.bias, 1e-6)


class TorchBlock(torch.nn.Module):
    """The same, with channels first outside and last within."""

    def __init__(self):
        super().__init__()
        self.depthwise = torch.nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.norm = TorchNorm()
        self.up = torch.nn.Linear(4, 6)
        self.down = torch.nn.Linear(6, 4)

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.down(torch.relu(self.up(y))).permute(0, 3, 1, 2)


def check(ours, theirs, inputs):
    return parity.check(ours, theirs, inputs, steps=1, tiers=("float64",))


@pytest.mark.slow
def test_layers_between_two_transpositions_are_given_their_own_layout():
    result = check(Block(), TorchBlock(), IMAGES)
    assert result.status == "pass"
    assert coverage(result).alone == coverage(result).holding == 4


@pytest.mark.slow
def test_a_mistake_between_two_transpositions_is_named():
    blame = check(Block(eps=1e-3), TorchBlock(), IMAGES).blame
    assert blame
    assert (blame.layer, blame.cause, blame.others) == ("norm", "eps", ())


class Windows(linen.Module):
    """A module that is channels last in PyTorch, too, as those of windowed attention are."""

    by: int = -1

    @linen.compact
    def __call__(self, x):
        y = linen.Dense(4, name="dense")(jnp.roll(x, (self.by, self.by), (1, 2)) * jnp.arange(4)[:, None])
        return x + jnp.roll(y, (-self.by, -self.by), (1, 2))


class Windowed(linen.Module):
    by: int = -1

    @linen.compact
    def __call__(self, x):
        return Windows(self.by, name="windows")(linen.Conv(4, (1, 1), name="embed")(x)).max((1, 2))


class TorchWindows(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(4, 4)

    def forward(self, x):
        y = self.dense(torch.roll(x, (-1, -1), (1, 2)) * torch.arange(4)[:, None])
        return x + torch.roll(y, (1, 1), (1, 2))


class TorchWindowed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Conv2d(4, 4, 1)
        self.windows = TorchWindows()

    def forward(self, x):
        return self.windows(self.embed(x).permute(0, 2, 3, 1)).amax((1, 2))


@pytest.mark.slow
def test_a_mistake_in_a_module_leaves_its_layout():
    assert check(Windowed(), TorchWindowed(), IMAGES).status == "pass"
    blame = check(Windowed(by=1), TorchWindowed(), IMAGES).blame
    assert blame and (blame.layer, blame.cause) == ("windows", "roll-direction"), blame


class Pyramid(linen.Module):
    """Several images, by name."""

    method: str = "nearest"

    @linen.compact
    def __call__(self, x):
        fine = linen.Conv(5, (1, 1), name="fine")(x)
        coarse = linen.Conv(5, (2, 2), strides=(2, 2), padding="VALID", name="coarse")(x)
        return {"fine": fine + jax.image.resize(coarse, fine.shape, self.method), "coarse": jnp.tanh(coarse)}


class TorchPyramid(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fine = torch.nn.Conv2d(3, 5, 1)
        self.coarse = torch.nn.Conv2d(3, 5, 2, 2)

    def forward(self, x):
        fine = self.fine(x)
        coarse = self.coarse(x)
        return {"fine": fine + torch.nn.functional.interpolate(coarse, scale_factor=2), "coarse": torch.tanh(coarse)}


@pytest.mark.slow
@pytest.mark.parametrize(("method", "status"), [("nearest", "pass"), ("bilinear", "fail")])
def test_images_in_a_dict_have_targets_in_either_layout(method, status):
    images = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
    assert check(Pyramid(method), TorchPyramid(), images).status == status


LAST = (0, 1, 2)
TURNED = (0, 2, 1)


def test_what_one_side_lacks_in_any_layout_does_not_hide_which_it_is():
    ours = np.random.default_rng(1).normal(size=(4, 3, 3))
    for true, theirs in ((LAST, ours), (TURNED, ours.swapaxes(1, 2))):
        with_identity = torch.tensor(theirs + np.eye(3))
        for prior in (LAST, TURNED):
            assert nearest_axes(prior, torch.nn.Identity(), with_identity, jnp.asarray(ours)) == true


def test_control_unlike_numbers_leave_the_likelier_layout():
    ours, theirs = np.random.default_rng(2).normal(size=(2, 4, 3, 3))
    for prior in (LAST, TURNED):
        assert nearest_axes(prior, torch.nn.Identity(), torch.tensor(theirs), jnp.asarray(ours)) == prior
