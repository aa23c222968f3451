"""Bugs in activations."""

from functools import partial

import jax.numpy as jnp
from flax import nnx

from parity.selftest.bug import Bug, function
from parity.selftest.pairs import ACTIVATIONS

BUGS = (
    Bug("GELU by tanh, Flax's default", ACTIVATIONS, "gelu", ("gelu-tanh",), function("gelu", nnx.gelu)),
    Bug("leaky ReLU with slope 0.2", ACTIVATIONS, "leaky", ("leaky-slope",),
        function("leaky", partial(nnx.leaky_relu, negative_slope=0.2))),
    Bug("ELU with alpha 0.5", ACTIVATIONS, "elu", ("elu-alpha",), function("elu", partial(nnx.elu, alpha=0.5))),
    Bug("softplus without a threshold", ACTIVATIONS.larger(60.0), "softplus", ("softplus-threshold", "softplus"),
        function("softplus", nnx.softplus)),
    Bug("SiLU for ReLU", ACTIVATIONS, "relu", ("silu",), function("relu", nnx.silu)),
    Bug("ReLU's gradient at no zero", ACTIVATIONS, "relu", ("softplus-threshold", "softplus", "activation"),
        function("relu", lambda x: jnp.logaddexp(50 * x, 0) / 50)),
    Bug("softmax along the batch", ACTIVATIONS, "softmax", ("softmax-axis",),
        function("softmax", partial(nnx.softmax, axis=0))),
)  # fmt: skip
