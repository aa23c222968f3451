"""What a Linen module draws to start its parameters is no random number of a step."""

import jax
import jax.numpy as jnp
from flax import linen

from parity.models.random_numbers import requested

X = jnp.ones((2, 3))


class Scaled(linen.Module):
    noisy: bool

    @linen.compact
    def __call__(self, x):
        scale = self.param("scale", lambda key: jax.random.uniform(key, (3,), minval=0.5))
        noise = jax.random.normal(self.make_rng("noise"), x.shape) if self.noisy else 0.0
        return x * scale + noise


def requests(noisy: bool) -> list[tuple[int, ...]]:
    variables = {"params": {"scale": jnp.ones(3)}}
    rngs = {"noise": jax.random.key(0)}
    found = requested(lambda x: Scaled(noisy).apply(variables, x, rngs=rngs), X)
    return [request.shape for request in found]


def test_a_start_is_not_heard():
    assert requests(noisy=False) == []


def test_control_what_a_step_draws_is_heard():
    assert requests(noisy=True) == [(2, 3)]
