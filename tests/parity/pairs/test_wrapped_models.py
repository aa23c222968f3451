"""Linen modules in objects that hold their parameters and complete their inputs, as Hugging Face's classes do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

import parity
from d2l_jax.errors import InputError

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(0, 11, (3, 4))
IMAGES = RANDOM.normal(size=(3, 6, 5, 2)).astype(np.float32)
SHORT = {"steps": 1, "tiers": ("float64",)}


class Words(linen.Module):
    """Needs positions."""

    @linen.compact
    def __call__(self, ids, positions, deterministic=True):
        x = linen.Embed(11, 8, name="words")(ids) + linen.Embed(9, 8, name="positions")(positions)
        x = linen.Dropout(0.3)(x, deterministic=deterministic)
        return linen.Dense(3, name="head")(x)


class Held:
    """Counts positions where none are given."""

    def __init__(self, first: int = 2):
        self.module = Words()
        self.first = first
        self.params = self.module.init(jax.random.key(0), IDS[:1], IDS[:1] % 9)["params"]

    def __call__(self, ids, params=None, dropout_rng=None, train=False):
        positions = jnp.broadcast_to(jnp.arange(ids.shape[1]) + self.first, ids.shape)
        rngs = {} if dropout_rng is None else {"dropout": dropout_rng}
        variables = {"params": params or self.params}
        return self.module.apply(variables, jnp.array(ids, "i4"), positions, deterministic=not train, rngs=rngs)


class Positions(torch.nn.Embedding):
    """Is given ids and counts positions by itself."""

    def forward(self, ids):
        return super().forward(torch.arange(ids.shape[1]) + 2)


class TorchWords(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.positions = torch.nn.Embedding(11, 8), Positions(9, 8)
        self.dropout, self.head = torch.nn.Dropout(0.3), torch.nn.Linear(8, 3)

    def forward(self, ids):
        return self.head(self.dropout(self.words(ids) + self.positions(ids)))


class Closed(Held):
    """Computes more than its module, with parameters that nobody can hand to it."""

    def __call__(self, ids):
        return jax.nn.softmax(super().__call__(ids))


def test_control_one_that_cannot_be_given_parameters_is_refused():
    with pytest.raises(InputError, match="Closed holds a Linen module, and its call takes no params"):
        parity.check(Closed(), TorchWords(), IDS, **SHORT)


def test_it_is_called_as_a_whole():
    result = parity.check(Held(), TorchWords(), {"ids": IDS}, **SHORT)
    assert result.status == "pass" and result.start


def test_control_what_it_completes_is_compared():
    assert parity.check(Held(first=1), TorchWords(), {"ids": IDS}, **SHORT, layers=False).status == "fail"


def test_the_module_that_lacks_an_argument_is_not_told_of_ids():
    with pytest.raises(InputError, match="missing 1 required positional argument: 'positions'"):
        parity.check(Words(), TorchWords(), IDS, **SHORT)


class Images(linen.Module):
    @linen.compact
    def __call__(self, x, deterministic=True):
        x = linen.Conv(4, (3, 3), padding=1, name="conv")(x)
        x = linen.BatchNorm(use_running_average=deterministic, momentum=0.9, name="norm")(x)
        return linen.Dense(3, name="head")(linen.relu(x).mean((1, 2)))


class HeldImages:
    """Takes the channels first, and returns the statistics beside the outputs where it trains."""

    def __init__(self):
        self.module = Images()
        self.params = self.module.init(jax.random.key(0), IMAGES[:1])

    def __call__(self, pixels, params=None, train=False):
        changed = ["batch_stats"] if train else False
        return self.module.apply(params or self.params, jnp.transpose(pixels, (0, 2, 3, 1)), not train, mutable=changed)


class TorchImages(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.BatchNorm2d(4)
        self.head = torch.nn.Linear(4, 3)

    def forward(self, pixels):
        return self.head(self.norm(self.conv(pixels)).relu().mean((2, 3)))


@pytest.mark.parametrize("pixels", [np.moveaxis(IMAGES, -1, 1), IMAGES], ids=["first", "last"])
def test_its_statistics_are_compared_whichever_place_the_channels_have(pixels):
    result = parity.check(HeldImages(), TorchImages(), pixels, **SHORT, layers=False)
    wrong = {row.key.tensor for row in result.rows["float64"] if not row.passed}
    assert wrong == {"norm.running_var"}, "Flax's is biased, all else is the same"


def test_channels_that_it_takes_first_are_told():
    class Sized(HeldImages):
        def __call__(self, pixels, sizes=None, params=None, train=False):
            return super().__call__(pixels, params, train)

    class TorchSized(TorchImages):
        def forward(self, pixels, sizes):
            return super().forward(pixels)

    with pytest.raises(InputError, match=r"channels last; .* takes them first: np.moveaxis\(x, -1, 1\)"):
        parity.check(Sized(), TorchSized(), (IMAGES, np.ones(3)), **SHORT)
