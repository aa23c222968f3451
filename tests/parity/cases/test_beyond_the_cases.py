"""Behaviour that random one-line faults changed unnoticed: defaults, and options that no case takes."""

import inspect
from importlib import import_module

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from d2l_jax import models, nn
from d2l_jax.models import mobilenet
from d2l_jax.optim.groups import torch_name
from parity import reference

IMAGES = np.random.default_rng(0).normal(size=(2, 7, 8, 3)).astype(np.float32)
POOLS = {
    "max, unequal strides": (nn.MaxPool2d((2, 3), (1, 2)), torch.nn.MaxPool2d((2, 3), (1, 2))),
    "max, overlapping": (nn.MaxPool2d(3, (2, 1)), torch.nn.MaxPool2d(3, (2, 1))),
    "adaptive, several windows": (nn.AdaptiveAvgPool2d((2, 3)), torch.nn.AdaptiveAvgPool2d((2, 3))),
}


def simple_defaults(constructor) -> dict:
    """Returns the parameters whose defaults are numbers or flags."""
    places = inspect.signature(constructor).parameters.values()
    return {p.name: p.default for p in places if isinstance(p.default, bool | int | float)}


def pairs() -> dict[str, tuple]:
    theirs = {}
    for module in (import_module(f"parity.reference.{name}") for name in reference.__dict__ if name in MODULES):
        theirs |= {name: kind for name, kind in vars(module).items() if isinstance(kind, type)}
    ours = {name: kind for name, kind in vars(models).items() if isinstance(kind, type)}
    return {name: (ours[name], theirs[name]) for name in ours.keys() & theirs.keys()}


MODULES = ("gru", "lstm", "seq2seq", "bahdanau", "transformer", "vit", "mobilenet", "resnet", "vgg", "alexnet", "rnn")


def test_constructors_have_the_defaults_of_their_references():
    differing = {}
    for name, (ours, theirs) in pairs().items():
        a = simple_defaults(ours)
        b = simple_defaults(theirs)
        differing |= {f"{name}.{key}": (a[key], b[key]) for key in a.keys() & b.keys() if a[key] != b[key]}
    assert len(pairs()) >= 8 and not differing


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers_have_pytorchs_defaults(layer):
    theirs = getattr(torch.nn, layer.__name__)(3, 4)
    ours = layer(3, 4, rngs=nnx.Rngs(0))
    assert ours.dropout.rate == theirs.dropout == 0.0


@pytest.mark.parametrize("name", POOLS)
def test_pooling_with_options_that_no_case_takes(name):
    ours, theirs = POOLS[name]
    expected = theirs(torch.tensor(IMAGES).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(ours(jnp.asarray(IMAGES)), expected, rtol=1e-6)


def test_both_directions_count_for_a_size():
    assert models.BiRNNScratch(3, 4, rngs=nnx.Rngs(0)).num_hiddens == models.BiGRU(3, 4, rngs=nnx.Rngs(0)).num_hiddens
    assert models.BiGRU(3, 4, rngs=nnx.Rngs(0)).num_hiddens == 8


def test_stages_of_mobilenet_are_the_references():
    from parity.reference import mobilenet as theirs

    assert mobilenet.V2_STAGES == theirs.V2_STAGES and mobilenet.V1_BLOCKS == theirs.V1_BLOCKS


def test_parameters_have_pytorchs_names_in_groups():
    paths = jax.tree_util.tree_flatten_with_path({"net": [{"kernel": 0, "bias": 0}, {"scale": 0}, {"embedding": 0}]})[0]
    assert [torch_name(path) for path, _ in paths] == ["net.0.bias", "net.0.weight", "net.1.weight", "net.2.weight"]
