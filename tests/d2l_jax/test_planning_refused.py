"""Chapter 17: policies, draws and sweeps that would give numbers of something else are refused."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from d2l_jax.algorithms import frozen_lake, q_learning, success_rate, uniforms, value_iteration
from d2l_jax.errors import InputError

LAKE = frozen_lake()
KEY = jax.random.key(0)
DRAWS = jnp.zeros((4, 5, 4))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (partial(success_rate, LAKE, jnp.zeros(3, int), KEY), r"a policy int\d+\(3,\); a whole number for each of 16"),
        (partial(success_rate, LAKE, jnp.zeros(16), KEY), r"a policy float\d+\(16,\); a whole number"),
        (partial(success_rate, LAKE, jnp.full(16, 9), KEY), "state 0 has the action 9; one from 0 to 3 is right"),
        (partial(success_rate, LAKE, jnp.zeros(16, int), KEY, 0), "0 walks; one or more are right"),
        (partial(uniforms, KEY, 0), "0 episodes of at most 100 steps; 1 or more of both"),
        (partial(uniforms, KEY, 3, 0), "3 episodes of at most 0 steps; 1 or more of both"),
        (partial(q_learning, LAKE, DRAWS[..., :2]), r"draws of shape \(4, 5, 2\); \(episodes, steps, 4\) is right"),
        (partial(q_learning, LAKE, DRAWS, epsilon=jnp.zeros(3)), r"epsilon has the shape \(3,\); a number, or one for"),
        (partial(value_iteration, LAKE.mdp(), sweeps=-1), "-1 sweeps over the states; 0 or more are right"),
    ],
)
def test_what_is_refused(call, line: str):
    with pytest.raises(InputError, match=line):
        call()


def test_a_policy_within_jit_is_checked_by_its_shape():
    rate = jax.vmap(lambda policy: success_rate(LAKE, policy, KEY, 1, 1))
    assert rate(jnp.zeros((2, 16), int)).tolist() == [0, 0]
    with pytest.raises(InputError, match="for each of 16 states"):
        rate(jnp.zeros((2, 3), int))
