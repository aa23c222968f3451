"""Every model starts from the distributions of the specification, on both sides."""

import math

import jax
import numpy as np
import pytest
import torch
from flax import nnx

import parity.reference as reference
from d2l_jax.catalog import get
from d2l_jax.weights.rules import leaves, variables


# Initialisation: (case, key, bound of its uniform distribution); fans are written out.
def xavier(fan_in: int, fan_out: int) -> float:
    return math.sqrt(6 / (fan_in + fan_out))


UNIFORM = [
    ("weight-decay", "net.weight", 37**-0.5),
    ("mlp", "net.1.weight", 315**-0.5),
    ("mlp", "net.1.bias", 315**-0.5),
    ("lenet5", "net.7.weight", 192**-0.5),
    ("alexnet", "net.3.weight", 2400**-0.5),
    ("densenet", "net.dense_blk2.net.1.2.weight", (9 * 34) ** -0.5),
    ("regnetx32", "net.stage2.1.conv2.weight", 144**-0.5),
    ("regnetx32", "net.stage2.1.conv2.bias", 144**-0.5),
    ("lenet", "net.7.weight", xavier(240, 120)),
    ("lenet", "net.7.bias", 240**-0.5),
    ("vgg", "net.3.2.weight", xavier(1152, 1152)),
    ("nin", "net.2.2.weight", xavier(256, 256)),
    ("googlenet", "net.2.0.b2_2.weight", xavier(864, 1152)),
    ("bn-lenet-scratch", "net.9.weight", xavier(128, 120)),
    ("bn-lenet", "net.4.weight", xavier(150, 400)),
    ("resnet18", "net.b3.0.conv1.weight", xavier(576, 1152)),
    ("resnet18", "net.b3.0.conv1.bias", 576**-0.5),
    ("resnet18-multi-gpu", "resnet_block2.1.conv1.weight", (9 * 128) ** -0.5),
    ("resnet18-cifar10", "0.weight", xavier(27, 576)),
    ("resnet18-cifar10", "fc.1.weight", xavier(512, 7)),
    ("resnet18-cifar10", "resnet_block2.1.conv1.weight", (9 * 128) ** -0.5),
    ("resnet18-kaggle-cifar10", "0.weight", 27**-0.5),
    ("resnet18-hotdog", "fc.weight", xavier(512, 7)),
    ("resnet34-dogs", "output_new.0.weight", 11**-0.5),
]
NORMAL = [
    ("softmax-scratch", "W", 0.01),
    ("mlp-scratch", "W1", 0.01),
    ("two-hidden-mlp-scratch", "W2", 0.01),
    ("my-linear-x2", "0.weight", 1.0),
    ("lenet-scratch", "W1", 0.01),
    ("lenet-scratch", "W3", 0.01),
    ("resnet18-multi-gpu", "0.weight", 0.01),
    ("resnet18-multi-gpu", "fc.1.weight", 0.01),
    ("mobilenet-v2", "features.3.conv.0.0.weight", math.sqrt(2 / 96)),
    ("mobilenet-v2", "features.3.conv.1.0.weight", math.sqrt(2 / (96 * 9))),
    ("mobilenet-v2", "classifier.1.weight", 0.01),
]


def started(name: str, key: str, **more: float) -> list[np.ndarray]:
    """Returns the tensor `key` as either side starts it, with the arguments of the check and `more`."""
    case = get(name)
    args = case.args | case.probe | more

    def draw(seed):
        model = case.model(**args, rngs=nnx.Rngs(seed))
        return variables(model)[next(leaf.path for leaf in leaves(model) if leaf.key == key)][...]

    torch.manual_seed(0)
    theirs = getattr(reference, case.model.__name__)(**args).state_dict()[key]
    return [np.asarray(jax.jit(draw)(jax.random.key(0))), theirs.numpy()]


@pytest.mark.parametrize(("name", "key", "bound"), UNIFORM)
def test_uniform_start(name, key, bound):
    whole = {"width_mult": 1.0} if "width_mult" in get(name).probe else {}
    for values in started(name, key, **whole):
        noise = 4 / math.sqrt(values.size)
        assert abs(values).max() <= bound * (1 + 1e-6)
        assert values.std() * math.sqrt(3) / bound == pytest.approx(1, abs=noise)
        assert values.mean() / bound == pytest.approx(0, abs=noise)


@pytest.mark.parametrize(("name", "key", "sigma"), NORMAL)
def test_normal_start(name, key, sigma):
    for values in started(name, key):
        noise = 4 / math.sqrt(values.size)
        assert values.std() / sigma == pytest.approx(1, abs=noise)
        assert values.mean() / sigma == pytest.approx(0, abs=noise)
        assert (abs(values) > 2 * sigma).mean() == pytest.approx(0.0455, abs=noise)


@pytest.mark.parametrize(("name", "key"), [("softmax-scratch", "b"), ("mlp-scratch", "b1"), ("lenet-scratch", "b3")])
def test_scratch_biases_start_at_zero(name, key):
    for values in started(name, key):
        assert not values.any()
