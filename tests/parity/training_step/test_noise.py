"""Noise drawn for every parameter is paired by the map, where shapes alone would pair another parameter's."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from d2l_jax import InputError
from d2l_jax.weights.leaf import Leaf
from parity.models.random_numbers import RandomRequest, imposed_on_jax, jax, partners
from parity.training_step.noise import paired_noise
from parity.twin.paired_requests import paired

# the shapes of the two kernels are each other's transposes
NET = torch.nn.Sequential(torch.nn.Linear(3, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))


def leaf(key: str, name: str, *stored: int) -> Leaf:
    axes = tuple(reversed(range(len(stored))))
    return Leaf(key, (*name.split("."),), True, np.float32, stored, stored, axes, tuple(reversed(stored)))


LEAVES = [
    leaf("0.bias", "d0.bias", 7),
    leaf("0.weight", "d0.kernel", 3, 7),
    leaf("2.bias", "d1.bias", 3),
    leaf("2.weight", "d1.kernel", 7, 3),
]
STATE = SimpleNamespace(leaves={("step",): 0} | {each.path: 0 for each in LEAVES})
PAIR: Any = SimpleNamespace(trained=LEAVES, torch=SimpleNamespace(model=NET), jax=SimpleNamespace(state=STATE))
DROPOUT = [RandomRequest((9, 7))]
OURS = [RandomRequest(each.stored, True) for each in LEAVES]
THEIRS = [RandomRequest(tuple(p.shape), True) for p in NET.parameters()]


def test_a_kernels_noise_is_its_own_beside_dropout():
    noise = paired_noise(PAIR, [*DROPOUT, *OURS], [*DROPOUT, *THEIRS], paired)
    assert noise.pairing.order == (0, 2, 1, 4, 3)
    assert partners(OURS, THEIRS) != (1, 0, 3, 2)  # by shapes: the other kernel's


@pytest.mark.parametrize("stored", [(7, 3), (5, 5), (4, 4, 4, 4)])
def test_its_numbers_are_laid_as_the_map_lays_the_kernel(stored):
    numbers = np.random.default_rng(0).normal(size=tuple(reversed(stored))).astype(np.float32)
    noise = paired_noise(PAIR, OURS, THEIRS, paired)._replace(leaves={0: leaf("weight", "kernel", *stored)})
    with imposed_on_jax([jax.numpy.asarray(noise.on_jax(0, numbers))]):
        drawn = jax.random.normal(jax.random.key(0), stored)
    assert np.array_equal(drawn, numbers.T)


def test_control_other_draws_are_paired_by_shape_and_kind():
    half = [RandomRequest(x.shape) for x in THEIRS]
    assert paired_noise(PAIR, [*OURS[:2], *DROPOUT], [THEIRS[1], *DROPOUT, THEIRS[0]], paired).pairing.order == (
        0,
        2,
        1,
    )
    with pytest.raises(InputError, match="random numbers differ"):  # uniform on one side, normal on the other
        paired_noise(PAIR, OURS, half, paired)
