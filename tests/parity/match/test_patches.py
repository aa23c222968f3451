"""A convolution whose windows do not overlap, in PyTorch, and a dense layer of patches in Flax."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.errors import InputError

X = np.random.default_rng(0).normal(size=(3, 4, 6, 3)).astype(np.float32)


class Theirs(torch.nn.Module):
    def __init__(self, stride=2):
        super().__init__()
        self.stem, self.out = torch.nn.Conv2d(3, 5, 2, stride), torch.nn.Linear(5, 4)

    def forward(self, x):
        return self.out(torch.tanh(self.stem(x)).flatten(2).transpose(1, 2))


class Ours(nnx.Module):
    """Order: of (rows, columns, channels) in a patch; turned: its columns from the right."""

    def __init__(self, order=(0, 1, 2), turned=False):
        self.order, self.turned = order, turned
        self.patch, self.head = nnx.Linear(12, 5, rngs=nnx.Rngs(0)), nnx.Linear(5, 4, rngs=nnx.Rngs(0))

    def __call__(self, x):
        x = x.reshape(len(x), 2, 2, 3, 2, 3).transpose(0, 1, 3, 2, 4, 5)
        x = x[..., ::-1, :] if self.turned else x
        x = x.transpose(0, 1, 2, *(axis + 3 for axis in self.order)).reshape(len(x), 6, 12)
        return self.head(jnp.tanh(self.patch(x)))


def checked(ours, theirs):
    return parity.check(ours, theirs, X, steps=1, tiers=("float64",))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_dense_layer_of_patches_is_that_convolution(order: tuple[int, ...]):
    checked(Ours(order), Theirs()).raise_if_failed()


def test_control_a_patch_that_is_turned_round_fails():
    assert checked(Ours(turned=True), Theirs()).status == "fail"


def test_control_windows_that_overlap_are_no_patches():
    with pytest.raises(InputError, match="stem.weight"):
        checked(Ours(), Theirs(stride=1))


WORDS = np.random.default_rng(1).normal(size=(3, 7, 6)).astype(np.float32)


class TorchWords(torch.nn.Module):
    """Windows of words over an image of one channel, as wide as the features of a word, or as high."""

    def __init__(self, upright=False):
        super().__init__()
        windows = ((6, n) if upright else (n, 6) for n in (2, 3))
        self.convs = torch.nn.ModuleList(torch.nn.Conv2d(1, 5, window, padding="valid") for window in windows)
        self.fc, self.upright = torch.nn.Linear(10, 2), upright

    def forward(self, x):
        images = (x.mT if self.upright else x)[:, None]
        return self.fc(torch.cat([torch.tanh(conv(images)).flatten(2).amax(2) for conv in self.convs], 1))


class Words(nnx.Module):
    def __init__(self, turned=False):
        rngs = nnx.Rngs(0)
        self.short, self.long = (nnx.Conv(6, 5, (n,), padding="VALID", rngs=rngs) for n in (2, 3))
        self.head, self.turned = nnx.Linear(10, 2, rngs=rngs), turned

    def __call__(self, x):
        windows = [self.short(x), self.long(x[:, ::-1] if self.turned else x)]
        return self.head(jnp.concatenate([jnp.tanh(each).max(1) for each in windows], -1))


@pytest.mark.parametrize("turned, upright", [(False, False), (True, False), (False, True)])
def test_a_convolution_over_words_is_that_over_an_image_as_wide_as_they_are(turned: bool, upright: bool):
    result = parity.check(Words(turned), TorchWords(upright), WORDS, steps=1, tiers=("float64",))
    assert result.status == ("fail" if turned else "pass"), result.blame
