"""Chapter 7's operators, layers from scratch, MobileNet as published, and the book's losses."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from parameter_counts import flax_count

import parity.reference as reference
from d2l_jax import eval_view, functional, losses, models, nn, train_view
from d2l_jax.abstract import abstract
from d2l_jax.weights.rules import leaves
from parity.reference import losses as torch_losses

GOLDEN = json.loads((Path(__file__).parent / "facts" / "golden.json").read_text())


# Chapter 7
def image(*shape: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + math.prod(shape), dtype=np.float64).reshape(shape)


@pytest.mark.parametrize(("room", "array"), [(models, jnp.asarray), (reference, torch.tensor)])
def test_operators_of_chapter_7(room, array):
    X = array(image(3, 3))
    K = array(image(2, 2))
    X2 = array(np.stack([image(3, 3), image(3, 3, start=1)]))
    K2 = np.stack([image(2, 2), image(2, 2, start=1)])
    K3 = array(np.stack([K2, K2 + 1, K2 + 2]))
    assert room.corr2d(X, K).tolist() == GOLDEN["corr2d 3x3 (0..8) * [[0,1],[2,3]]"]
    assert room.corr2d_multi_in(X2, array(K2)).tolist() == GOLDEN["corr2d_multi_in"]
    assert room.corr2d_multi_in_out(X2, K3).tolist() == GOLDEN["corr2d_multi_in_out (K,K+1,K+2)"]
    pooled = [room.pool2d(X, (2, 2), mode).tolist() for mode in ("max", "avg")]
    assert pooled == GOLDEN["pool2d 2x2 max / avg of 0..8"]


def test_max_pool_of_chapter_7():
    pools = nn.MaxPool2d(3), nn.MaxPool2d(3, padding=1, stride=2), nn.MaxPool2d((2, 3), (2, 3), (0, 1))
    pooled = [pool(jnp.asarray(image(1, 4, 4, 1)))[..., 0][:, None].tolist() for pool in pools]
    assert pooled == next(value for key, value in GOLDEN.items() if key.startswith("MaxPool2d"))


def test_edge_detector_learns_the_kernel():
    X = jnp.ones((6, 8), "float32").at[:, 2:6].set(0)
    Y = models.corr2d(X, jnp.array([[1.0, -1.0]], "float32"))[None, :, :, None]
    apply, params, buffers = functional(models.edge_detector(rngs=nnx.Rngs(0)))

    def loss(params):
        return jnp.sum((apply(params, buffers, X[None, :, :, None])[0] - Y) ** 2)

    gradient = jax.jit(jax.grad(loss))
    for _ in range(10):
        params = jax.tree.map(lambda p, g: p - 0.03 * g, params, gradient(params))
    np.testing.assert_allclose(params["kernel"].reshape(-1), [1, -1], atol=0.15)


# Dropout and batch normalisation from scratch
def test_dropout_layer(monkeypatch):
    X = np.random.default_rng(0).normal(size=(64, 65))
    draws = np.random.default_rng(1).uniform(size=X.shape)
    monkeypatch.setattr(jax.random, "uniform", lambda key, shape: jnp.asarray(draws))
    monkeypatch.setattr(torch, "rand", lambda shape, device: torch.tensor(draws, device=device))
    for p in (0.0, 0.3, 1.0):
        expected = X * (draws > p) / (1 - p) if p < 1 else 0 * X
        np.testing.assert_allclose(models.dropout_layer(jnp.asarray(X), p, jax.random.key(0)), expected, rtol=1e-15)
        np.testing.assert_allclose(reference.dropout_layer(torch.tensor(X), p), expected, rtol=1e-15)


def test_dropout_from_scratch_obeys_the_view_and_draws_anew():
    model = models.DropoutMLPScratch(num_hiddens_1=32, num_hiddens_2=16, in_features=6, rngs=nnx.Rngs(0))
    X = jnp.ones((3, 6), "float32")
    train, params, buffers = functional(train_view(model))
    first, after = jax.jit(train)(params, buffers, X)
    second, _ = jax.jit(train)(params, after, X)
    assert not jnp.array_equal(first, second)
    evaluate = functional(eval_view(model)).apply
    assert jnp.array_equal(evaluate(params, buffers, X)[0], evaluate(params, after, X)[0])


def test_batch_norm_from_scratch_averages_the_biased_variance():
    X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3, 2, 4)), jnp.float32)
    scratch = models.BatchNormScratch(4, 4)
    layer = nn.BatchNorm(4)
    np.testing.assert_allclose(scratch(X), layer(X), atol=1e-5)
    np.testing.assert_allclose(scratch.moving_var[0, 0, 0], 0.9 + 0.1 * X.var((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(scratch.moving_mean[0, 0, 0], layer.mean[...], atol=1e-6)
    expected = (X - scratch.moving_mean) / scratch.moving_var**0.5
    np.testing.assert_allclose(eval_view(scratch)(X), expected, atol=1e-4)


# MobileNet
def test_mobilenet_has_as_many_parameters_as_published():
    ours = abstract(lambda: models.MobileNetV1(1000, in_channels=3, rngs=nnx.Rngs(0)))
    assert flax_count(ours) == 4_231_976


@pytest.mark.parametrize("width_mult", [0.35, 0.75, 1.0, 1.4])
def test_mobilenet_v2_is_torchvisions(width_mult):
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        theirs = torchvision.models.MobileNetV2(width_mult=width_mult).state_dict()
        twin = reference.MobileNetV2(width_mult=width_mult).state_dict()
    ours = abstract(lambda: models.MobileNetV2(width_mult=width_mult, rngs=nnx.Rngs(0)))
    expected = {key: tuple(value.shape) for key, value in theirs.items()}
    assert {leaf.key: leaf.shape for leaf in leaves(ours)} == expected
    assert [(key, tuple(value.shape)) for key, value in twin.items()] == list(expected.items())


def test_mobilenet_v2_computes_what_torchvisions_does():
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.MobileNetV2(7, width_mult=0.25).double()
    twin = reference.MobileNetV2(7, width_mult=0.25).double()
    twin.load_state_dict(theirs.state_dict())
    X = torch.randn(2, 3, 33, 35, dtype=torch.float64)
    for model in (theirs, twin):
        model.classifier[0].p = 0.0
    torch.testing.assert_close(twin(X), theirs(X), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(twin.eval()(X), theirs.eval()(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", ["mse", "half_mse", "sum_squared_error"])
def test_losses_of_values(loss):
    y_hat, y = np.random.default_rng(0).normal(size=(2, 5, 3))
    ours = getattr(losses, loss)(jnp.asarray(y_hat), jnp.asarray(y))
    theirs = getattr(torch_losses, loss)(torch.tensor(y_hat), torch.tensor(y))
    assert float(ours) == pytest.approx(theirs.item(), rel=1e-14)


@pytest.mark.parametrize("loss", ["cross_entropy", "cross_entropy_of_probabilities"])
def test_losses_of_scores(loss):
    p = np.random.default_rng(0).dirichlet(np.ones(7), 5)
    y = np.array([0, 3, 6, 2, 2])
    ours = getattr(losses, loss)(jnp.asarray(p), jnp.asarray(y))
    theirs = getattr(torch_losses, loss)(torch.tensor(p), torch.tensor(y))
    assert float(ours) == pytest.approx(theirs.item(), rel=1e-14)


def test_l2_penalty():
    w = np.random.default_rng(0).normal(size=(5, 1))
    ours = losses.l2_penalty({"w": jnp.asarray(w), "b": jnp.ones(1)}, 3.0, ("w",))
    theirs = torch_losses.l2_penalty({"w": torch.tensor(w), "b": torch.ones(1)}, 3.0, ("w",))
    assert float(ours) == pytest.approx(theirs.item(), rel=1e-14)
    assert float(ours) == pytest.approx(1.5 * (w**2).sum(), rel=1e-14)
