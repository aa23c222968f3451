"""The initialisers that are in force in the book's models, and functions that initialise a model again."""

import math
from typing import TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer, variance_scaling

from d2l_jax.init.plain import normal
from d2l_jax.init.scaled import xavier_uniform

Module = TypeVar("Module", bound=nnx.Module)

torch_weight: Initializer = variance_scaling(1 / 3, "fan_in", "uniform")
"""PyTorch's default weight of Linear and Conv, U(-1/sqrt(fan_in), 1/sqrt(fan_in)) (He et al. 2015, a = sqrt 5)."""


def torch_bias(fan_in: int) -> Initializer:
    """PyTorch's default bias, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), with the fan-in of the weight."""
    bound = 1 / math.sqrt(fan_in)

    def init(key, shape, dtype=None, out_sharding=None):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def init_tables(model: Module, init: Initializer, *, rngs: nnx.Rngs) -> Module:
    """Draws every table of an Embedding of `model` again, in place."""
    for _, layer in nnx.iter_modules(model):
        if isinstance(layer, nnx.Embed):
            table = layer.embedding[...]
            layer.embedding[...] = init(rngs.params(), table.shape, table.dtype)
    return model


def init_weights(model: Module, init: Initializer, *, rngs: nnx.Rngs) -> Module:
    """Draws the weight of every dense and convolutional layer of `model` again, in place; biases stay."""
    for _, layer in nnx.iter_modules(model):
        if isinstance(layer, nnx.Linear | nnx.Conv):
            kernel = layer.kernel[...]
            layer.kernel[...] = init(rngs.params(), kernel.shape, kernel.dtype)
    return model


def zero_biases(model: Module) -> Module:
    """Sets the bias of every dense and convolutional layer of `model` to 0, in place."""
    for _, layer in nnx.iter_modules(model):
        if isinstance(layer, nnx.Linear | nnx.Conv) and layer.bias is not None:
            layer.bias[...] = jnp.zeros_like(layer.bias[...])
    return model


def init_cnn(model: Module, *, rngs: nnx.Rngs) -> Module:
    """Draws Xavier-uniform weights (Glorot and Bengio 2010; book, section 7.6) in place; biases stay."""
    return init_weights(model, xavier_uniform(), rngs=rngs)


def init_normal(model: Module, *, rngs: nnx.Rngs) -> Module:
    """Draws every parameter again from N(0, 0.02^2), in place: biases and scales of batch normalisation too.

    So the book starts its adversarial networks (sections 20.1 and 20.2): behind a scale near 0 every map is nearly
    dark. `init_dcgan` is what the second edition does.
    """
    return _init_named(model, {}, rngs=rngs)


def init_dcgan(model: Module, *, rngs: nnx.Rngs) -> Module:
    """Draws weights from N(0, 0.02^2) and scales of batch normalisation from N(1, 0.02^2), in place; shifts are 0.

    The start of DCGAN as it was published (Radford et al. 2016), and in the book's second edition.
    """
    return _init_named(model, {"scale": normal(1.0, 0.02), "bias": jax.nn.initializers.zeros}, rngs=rngs)


def _init_named(model: Module, inits: dict[str, Initializer], *, rngs: nnx.Rngs) -> Module:
    """Draws every parameter by the initialiser of its name, or else from N(0, 0.02^2)."""
    for path, variable in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        value = variable[...]
        init = inits.get(str(path[-1]), normal(std=0.02))
        variable[...] = init(rngs.params(), value.shape, value.dtype)
    return model
