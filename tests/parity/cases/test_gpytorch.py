"""Chapter 18 beside GPyTorch itself: names, constraints, 50 steps of Adam, predictions, and its jitter."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax import TrainState, make_train_step
from d2l_jax.algorithms import cholesky, curve
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.models import ExactGPModel
from parity import reference

gpytorch_model = pytest.importorskip("parity.reference.gpytorch_model", exc_type=ModuleNotFoundError)

linear_operator = pytest.importorskip("linear_operator")
RAW = {"covar_module.raw_outputscale": 0.7, "covar_module.base_kernel.raw_lengthscale": -0.4}
CLOSE = {"float64": 1e-12, "float32": 2e-5}


def seen(dtype):
    X = np.linspace(0, 5, 50)
    y = curve(X) + 0.25 * np.random.RandomState(2).randn(50)
    return X.astype(dtype), y.astype(dtype)


def theirs(dtype="float64"):
    return gpytorch_model.GPyTorchModel(*map(torch.tensor, seen(dtype)))


def test_the_state_dict_is_the_same_and_goes_both_ways():
    book = theirs("float32")
    book.initialize(**{name: torch.tensor(value) for name, value in RAW.items()})
    ours = parity.load_state_dict(ExactGPModel(rngs=nnx.Rngs(0)), book)
    back = parity.state_dict(ours)
    assert list(back) == list(book.state_dict()) == list(reference.ExactGPModel().state_dict())
    for key, tensor in book.state_dict().items():
        np.testing.assert_array_equal(back[key], tensor, err_msg=key)
    reference.ExactGPModel().load_state_dict(book.state_dict())


def test_control_infinity_is_for_bounds_alone():
    tensors = theirs("float32").state_dict()
    for key, value in (
        ("covar_module.raw_outputscale", np.inf),
        ("likelihood.noise_covar.raw_noise_constraint.upper_bound", np.nan),
    ):
        with pytest.raises(InputError, match="not finite"):
            parity.load_state_dict(
                ExactGPModel(rngs=nnx.Rngs(0)), tensors | {key: torch.full_like(tensors[key], value)}
            )


@pytest.mark.parametrize("raw", [-30.0, -0.4, 19.0, 21.0])
def test_the_constraints(raw):
    book = theirs()
    tensors = {
        key: torch.full_like(t, raw) if t.isfinite() and "bound" not in key else t
        for key, t in book.state_dict().items()
    }
    book.load_state_dict(tensors)
    ours = parity.load_state_dict(ExactGPModel(rngs=nnx.Rngs(0)), tensors, jnp.float64)
    for mine, other in (
        (ours.covar_module.outputscale(), book.covar_module.outputscale),
        (ours.covar_module.base_kernel.lengthscale(), book.covar_module.base_kernel.lengthscale),
        (ours.likelihood.noise_covar(), book.likelihood.noise),
    ):
        np.testing.assert_allclose(mine, other.detach(), rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", CLOSE)
def test_fifty_steps_of_adam_and_the_predictions(dtype):
    X, y = seen(dtype)
    book = theirs(dtype)
    turns = get("exact-gp").turns
    ours = parity.load_state_dict(ExactGPModel(rngs=nnx.Rngs(0)), book, jnp.dtype(dtype))
    state = TrainState.create(ours, turns)
    step = make_train_step(ours, turns, {})
    optimizer = torch.optim.Adam(book.parameters(), lr=0.1)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = book.loss()
        loss.backward()
        optimizer.step()
        state, measured = step(state, {"X": X, "y": y})
        losses.append((float(measured["loss"]), loss.item()))
    np.testing.assert_allclose(*zip(*losses), atol=CLOSE[dtype])
    nnx.update(ours, state.params)
    for key, tensor in book.state_dict().items():
        np.testing.assert_allclose(parity.state_dict(ours)[key], tensor, atol=CLOSE[dtype], err_msg=key)

    new = np.linspace(-1, 6, 31).astype(dtype)
    book.eval()
    with torch.no_grad():
        known, observed = book(torch.tensor(new)), book.likelihood(book(torch.tensor(new)))
    mine = ours.posterior(jnp.asarray(X), jnp.asarray(y), jnp.asarray(new))
    np.testing.assert_allclose(mine.mean, known.mean, atol=5 * CLOSE[dtype])
    np.testing.assert_allclose(mine.covariance, known.covariance_matrix, atol=5 * CLOSE[dtype])
    for end, other in zip(mine.band(ours.noise()), observed.confidence_region(), strict=True):
        np.testing.assert_allclose(end, other, atol=5 * CLOSE[dtype])


@pytest.mark.parametrize("dtype", CLOSE)
def test_jitter_is_gpytorchs(dtype):
    first = {"float32": 1e-6, "float64": 1e-8}[dtype]
    for missing in (3 * first, 30 * first):
        K = (np.ones((5, 5)) / 2 - missing * np.eye(5)).astype(dtype)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            other = linear_operator.utils.cholesky.psd_safe_cholesky(torch.tensor(K))
        assert any("added jitter" in str(warning.message) for warning in caught)
        L = cholesky(jnp.asarray(K))
        np.testing.assert_allclose(np.diag(L @ L.T), np.diag(other @ other.T), rtol=1e-6)
