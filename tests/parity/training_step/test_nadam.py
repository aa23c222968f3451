"""NAdam as PyTorch has it, with a schedule of the momentum whose product is one number for all parameters.

PyTorch makes that number itself, in float32 where that is the default: in float64 it has to be of the run's precision.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from training_steps import check, jax_step, torch_step

import parity


class NadamState(NamedTuple):
    count: jax.Array
    mu: Any
    nu: Any
    mu_product: jax.Array


def nadam(lr, beta):
    def momentum(count):
        return beta * (1 - 0.5 * 0.96 ** (count * 4e-3))

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return NadamState(jnp.zeros((), jnp.int32), zeros, zeros, jnp.ones(()))

    def update(grads, state, params=None):
        now, then = momentum(state.count + 1), momentum(state.count + 2)
        product = state.mu_product * now
        mu = jax.tree.map(lambda m, g: beta * m + (1 - beta) * g, state.mu, grads)
        nu = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state.nu, grads)

        def moved(g, m, v):
            ahead = g * (1 - now) / (1 - product) + m * then / (1 - product * then)
            return -lr * ahead / (jnp.sqrt(v / (1 - 0.999 ** (state.count + 1))) + 1e-8)

        return jax.tree.map(moved, grads, mu, nu), NadamState(state.count + 1, mu, nu, product)

    return optax.GradientTransformation(init, update)


@pytest.mark.parametrize("beta, status", [(0.9, "pass"), (0.8, "fail")])
def test_a_number_that_pytorch_keeps_for_each_parameter_is_compared(beta, status):
    tx = nadam(0.01, beta)
    result = check(jax_step(tx), tx, torch_step, lambda model: torch.optim.NAdam(model.parameters(), lr=0.01))
    compared = [row for row in result.rows["float64"] if row.key.slot == "mu_product"]
    assert result.status == status and compared and all(row.passed for row in compared) == (status == "pass")


@pytest.mark.parametrize("beta, status", [(0.9, "pass"), (0.8, "fail")])
def test_the_same_by_two_models(beta, status):
    ours = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    table = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    optimizer = nadam(0.01, beta), lambda parameters: torch.optim.NAdam(parameters, lr=0.01)
    result = parity.check(ours, torch.nn.Linear(4, 3), table, optimizer=optimizer, steps=2, layers=False)
    assert result.status == status, result.blame
