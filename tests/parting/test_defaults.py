"""Defaults of norms, and starts of layers, that differ."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from versions import is_from

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


def test_epsilons_of_group_norm():
    assert (nnx.GroupNorm(4, num_groups=2, rngs=nnx.Rngs(0)).epsilon, torch.nn.GroupNorm(2, 4).eps) == (1e-6, 1e-5)


def test_starts_of_dense_layers():
    ours = nnx.Linear(400, 300, rngs=nnx.Rngs(0))
    theirs = torch.nn.Linear(400, 300)
    assert ours.bias is not None
    assert abs(float(ours.kernel[...].std()) * 20 - 1) < 0.02 and not ours.bias[...].any()
    assert abs(theirs.weight.std().item() * 20 - 3**-0.5) < 0.02 and 0.045 < theirs.bias.abs().max().item() < 0.05


def test_starts_of_embeddings():
    ours = nnx.Embed(1000, 100, rngs=nnx.Rngs(0)).embedding[...].std()
    theirs = torch.nn.Embedding(1000, 100).weight.std()
    assert (round(float(ours), 2), round(theirs.item(), 2)) == (0.1, 1)


@pytest.mark.skipif(is_from("flax", "0.12.9"), reason="newer ones hold its factors as a parameter")
def test_a_wrapped_norm_of_weights_holds_no_parameter_of_its_own():
    ours = nnx.WeightNorm(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0))
    theirs = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2))
    names = {path[-1] for path, _ in nnx.to_flat_state(nnx.state(ours, nnx.Param))}
    assert names == {"kernel", "bias"}
    assert {name for name, _ in theirs.named_parameters()} == {
        "bias",
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    }


@pytest.mark.slow
def test_spectral_norm_overwrites_the_kernel_in_evaluation_too(set_jax):
    set_jax("jax_numpy_dtype_promotion", "standard")
    dense = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    before = np.asarray(dense.kernel[...])
    nnx.SpectralNorm(dense, rngs=nnx.Rngs(1))(jnp.ones((1, 3)), update_stats=False)
    assert abs(np.asarray(dense.kernel[...]) - before).max() > 1e-3
