"""Layers of PyTorch's with random weights, and copies of them in which a convention is planted."""

import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from parity.blame.diagnosis import explain_layer


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def seeded(module):
    """Puts random numbers in every parameter and buffer: a fresh scale of ones would hide its absence."""
    random = torch.Generator().manual_seed(3)
    module = module.double()
    for tensor in [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]:
        tensor.data = torch.rand(tensor.shape, generator=random, dtype=torch.double) + 0.1
        if tensor.ndim > 1:
            tensor.data -= 0.6
    return module


def jnp_(tensor):
    return jnp.asarray(tensor.detach().numpy())


def last(x):
    return np.moveaxis(x, 1, -1)


def first(x):
    return np.moveaxis(np.asarray(x), -1, 1)


def named(module, x, flax, training=False, **more):
    args = x if isinstance(x, tuple) else (x,)
    kwargs = more.pop("kwargs", {})
    return explain_layer(module, args, kwargs, flax, training=training, **more)


# Conventions planted through PyTorch's own functions or a few lines of numpy


def of(module, *inputs, **kwargs):
    """The output as numpy, in evaluation mode."""
    with torch.no_grad():
        y = module.double().eval()(*map(torch.as_tensor, inputs), **kwargs)
    return tuple(part.numpy() for part in y[:1]) if isinstance(y, tuple) else y.numpy()


def copied(module, other):
    """Returns `other` with the weights of `module`."""
    other.double().load_state_dict(module.state_dict(), strict=False)
    return other


def altered(module, change):
    import copy

    twin = copy.deepcopy(module)
    with torch.no_grad():
        change(twin)
    return twin


def without(name):
    return lambda module: module.get_parameter(name).zero_()


def permuted_rows(name, order):
    def change(module):
        w = module.get_parameter(name)
        w.copy_(torch.cat([w.chunk(len(order))[i] for i in order]))

    return change


def changing(*changes):
    def change(module):
        for each in changes:
            each(module)

    return change


def filled(name, function):
    def change(module):
        w = module.get_parameter(name)
        w.copy_(function(w.clone()))

    return change


IMAGE = (2, 4, 5, 7)
SQUARE = (4, 4, 6, 6)
MHA = nn.MultiheadAttention
