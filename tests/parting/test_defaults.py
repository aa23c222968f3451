"""Defaults of norms that differ."""

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


def test_epsilons_of_layer_norm():
    assert (nnx.LayerNorm(3, rngs=nnx.Rngs(0)).epsilon, torch.nn.LayerNorm(3).eps) == (1e-6, 1e-5)


def test_momenta_of_batch_norm():
    assert (nnx.BatchNorm(3, rngs=nnx.Rngs(0)).momentum, torch.nn.BatchNorm1d(3).momentum) == (0.99, 0.1)


def test_running_variances():
    ours = nnx.BatchNorm(3, momentum=0.9, rngs=nnx.Rngs(0))
    theirs = torch.nn.BatchNorm1d(3)
    ours(jnp.asarray(X))
    theirs(torch.tensor(X))
    assert theirs.running_var is not None
    assert np.allclose(ours.var[...], 0.9 + 0.1 * X.var(0), atol=1e-6)
    assert np.allclose(theirs.running_var, 0.9 + 0.1 * X.var(0, ddof=1), atol=1e-6)


def test_the_fast_variance_cancels():
    far = np.array([[9999, 10000, 10001.5]], np.float32)
    exact = torch.nn.functional.layer_norm(torch.tensor(far, dtype=torch.float64), (3,)).numpy()

    def error(fast: bool) -> float:
        layer = nnx.LayerNorm(3, epsilon=1e-5, use_fast_variance=fast, rngs=nnx.Rngs(0))
        return float(abs(np.asarray(layer(jnp.asarray(far))) - exact).max())

    assert error(True) > 0.1 and error(False) < 1e-2


def test_epsilon_of_rms_norm_follows_the_dtype():
    tiny = torch.full((1, 3), 1e-4, dtype=torch.float64)
    theirs = [torch.nn.RMSNorm(3, dtype=dtype)(tiny.to(dtype)).double() for dtype in (torch.float32, torch.float64)]
    assert nnx.RMSNorm(3, rngs=nnx.Rngs(0)).epsilon == 1e-6
    assert float(theirs[0].detach().max()) < 0.5 and float(theirs[1].detach().max()) > 0.99
