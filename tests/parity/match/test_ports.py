"""Torchvision's own models against Flax ports with other names: the maps are found, and the models are the same."""

import numpy as np
import pytest
import torch
from flax import nnx
from matching import first, values, verified
from ports import PORTS, SLOW, ResNet18, torchvision

from d2l_jax import nn
from d2l_jax.errors import InputError
from parity.match import match
from parity.models.nnx_model import NNXModel

R = nnx.Rngs(0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", *SLOW])
def test_the_map_to_torchvision_is_found(name):
    port, size, options, count = PORTS[name]
    theirs = getattr(torchvision.models, name)(weights=None, num_classes=11, **options)
    x = values(2, *size, 3)
    leaves = verified(NNXModel(port(11, rngs=R)), theirs, x, first(x))
    assert len(leaves) == count == len(theirs.state_dict())
    same = [leaf for leaf in leaves if leaf.key.split(".")[:-1] == [str(part) for part in leaf.path[:-1]]]
    assert not same  # names could not help


def resnet() -> tuple[ResNet18, torch.nn.Module, tuple, tuple]:
    x = values(2, 33, 47, 3)
    return ResNet18(11, rngs=R), torchvision.models.resnet18(num_classes=11), (x,), (first(x),)


def keys(leaves: list) -> dict[tuple, str]:
    return {leaf.path: leaf.key for leaf in leaves}


@pytest.mark.slow
def test_a_mistake_within_a_layer_or_between_two_does_not_hide_the_map():
    ours, theirs, x, tx = resnet()
    right = keys(match(NNXModel(ours), theirs, x, tx))
    ours.stages[2].first.padding = "SAME"  # uneven, where the stride is 2
    ours.stages[4].first_norm.eps = 0.1
    assert keys(match(NNXModel(ours), theirs, x, tx)) == right
    Block = type(ours.stages[5])

    class Straight(Block):  # without the shortcut
        def __call__(self, x):
            return nnx.relu(self.second_norm(self.second(nnx.relu(self.first_norm(self.first(x))))))

    ours.stages[5].__class__ = Straight
    assert keys(match(NNXModel(ours), theirs, x, tx)) == right


@pytest.mark.slow
def test_control_a_missing_block_is_listed():
    ours, theirs, x, tx = resnet()
    ours.stages = nnx.List([block for i, block in enumerate(ours.stages) if i != 5])
    with pytest.raises(InputError) as error:
        match(NNXModel(ours), theirs, x, tx)
    message = str(error.value)
    assert message.count("only in PyTorch") == 10 and message.count("conv1.weight (256, 256, 3, 3)") <= 1
    assert message.count("weight (256, 256, 3, 3)") == 2 and "only in Flax" not in message


@pytest.mark.slow
def test_control_a_layer_of_another_width_is_listed():
    ours, theirs, x, tx = resnet()
    ours.head = nnx.Linear(512, 12, rngs=R)
    with pytest.raises(InputError) as error:
        match(NNXModel(ours), theirs, x, tx)
    message = str(error.value)
    for part in ("fc.weight (11, 512)", "fc.bias (11,)", "head.kernel (512, 12)", "head.bias (12,)"):
        assert part in message
    assert message.count("only in") == 4


def test_names_are_not_needed_and_do_not_mislead():
    """Two layers of one shape whose names are exchanged."""

    class Misled(nnx.Module):
        def __init__(self):
            self.second = nn.Linear(8, 8, rngs=R)
            self.first = nn.Linear(8, 8, rngs=R)

        def __call__(self, x):
            return self.first(nnx.relu(self.second(x)))

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(8, 8)
            self.second = torch.nn.Linear(8, 8)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

    x = np.asarray(values(3, 8))
    key_of = keys(verified(NNXModel(Misled()), Plain(), x, torch.tensor(x)))
    assert key_of["second", "kernel"] == "first.weight"
