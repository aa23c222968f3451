"""The mode of a user's own NNX modules: they are switched as `train` and `eval` of Flax's switch them, no further."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax import eval_view, train_view
from parity.models.evaluation import in_mode

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


class Norm(nnx.Module):
    """BatchNorm by hand, as PyTorch computes it; its mode is an attribute of its own."""

    def __init__(self, mode: str, trains: bool):
        self.scale, self.bias = nnx.Param(jnp.ones(3)), nnx.Param(jnp.zeros(3))
        self.mean, self.var = nnx.BatchStat(jnp.zeros(3)), nnx.BatchStat(jnp.ones(3))
        self.mode, self.trains = mode, trains
        setattr(self, mode, trains)

    def __call__(self, x):
        mean, var = self.mean[...], self.var[...]
        if getattr(self, self.mode) is self.trains:
            mean, var = jnp.mean(x, 0), jnp.var(x, 0)
            self.mean[...] += 0.1 * (jax.lax.stop_gradient(mean) - self.mean[...])
            self.var[...] += 0.1 * (jax.lax.stop_gradient(var) * len(x) / (len(x) - 1) - self.var[...])
        return (x - mean) * jax.lax.rsqrt(var + 1e-5) * self.scale[...] + self.bias[...]


@pytest.mark.parametrize(
    "mode, trains, passes",
    [("use_running_average", False, True), ("training", True, False)],
)
def test_a_module_of_ones_own_is_compared_in_both_modes(mode, trains, passes):
    result = parity.check(Norm(mode, trains), torch.nn.BatchNorm1d(3), X, tiers=("float64",), steps=2)
    assert (result.status == "pass") is passes
    assert passes or "evaluation" in repr(result)


class Policy(nnx.Module):
    """Configured to act without noise, beside a layer of Flax's that trains."""

    def __init__(self):
        self.deterministic, self.noise = True, nnx.Dropout(0.5, rngs=nnx.Rngs(0))


def test_what_is_configured_stays_unless_all_was_put_in_evaluation():
    assert [in_mode(Policy(), train).deterministic for train in (True, False)] == [True, True]
    policy = Policy()
    policy.eval()
    assert [in_mode(policy, train).deterministic for train in (True, False)] == [False, True]


def test_views_switch_modules_of_ones_own_and_share_their_variables():
    norm = Norm("use_running_average", False)
    evaluating, training = eval_view(norm), train_view(eval_view(norm))
    assert evaluating.use_running_average and not training.use_running_average and not norm.use_running_average
    assert evaluating.mean is norm.mean
