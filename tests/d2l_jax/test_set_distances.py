"""Distances between sets of features, and the average of a generator's weights, against other computations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from gan_golden import golden, pattern

from d2l_jax import InputError, nn
from d2l_jax.algorithms.set_distances import bells, frechet_distance, kernel_distance
from d2l_jax.functional import functional
from d2l_jax.train import ema_decay, moved_average

linalg = pytest.importorskip("scipy.linalg")


def by_scipy(X: np.ndarray, Y: np.ndarray) -> float:
    A, B = np.cov(X.T), np.cov(Y.T)
    return ((X.mean(0) - Y.mean(0)) ** 2).sum() + np.trace(A + B - 2 * linalg.sqrtm(A @ B).real)


def test_distances_are_the_facts():
    X, Y = pattern(9, 3), pattern(7, 3, o=1)
    assert [frechet_distance(X, Y), kernel_distance(X, Y)] == pytest.approx(golden("fid_kid"), abs=1e-6)
    apart = kernel_distance(pattern(5, 2), pattern(6, 2, o=1), bells)
    assert apart == pytest.approx(golden("losses")[2], abs=1e-6)


@pytest.mark.parametrize("features, examples", [(1, 5), (20, 200)])
def test_the_frechet_distance_is_scipys(features, examples):
    random = np.random.default_rng(features)
    mixed = random.normal(size=(features, features))
    X, Y = random.normal(size=(examples, features)) @ mixed, 1.5 * random.normal(size=(examples + 3, features)) + 0.3
    if features > 1:
        assert frechet_distance(X, Y) == pytest.approx(by_scipy(X, Y), rel=1e-9)
    assert frechet_distance(X, X) == pytest.approx(0, abs=1e-9)
    assert abs(frechet_distance(X, Y + 1e-3) / frechet_distance(X, Y) - 1) > 1e-6, "control"


def test_it_is_right_with_fewer_images_than_features():
    """The covariances are singular then: roots of eigenvalues of 1e-16 would cost half of the digits."""
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(5, 12)), random.normal(size=(6, 12))
    assert frechet_distance(X, Y) == pytest.approx(frechet_distance(Y, X), rel=1e-12) and frechet_distance(X, Y) > 0
    centred = X - X.mean(0)
    assert abs(frechet_distance(X, X)) < 1e-13
    assert frechet_distance(centred, 2 * centred) == pytest.approx(np.trace(np.cov(X.T)), rel=1e-12)
    direction, x, y = np.eye(40)[3], random.normal(size=(5, 1)), 2 * random.normal(size=(6, 1)) + 1
    of_numbers = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x * direction, y * direction) == pytest.approx(of_numbers, rel=1e-12)
    assert frechet_distance(np.ones((4, 3)), 2 * np.ones((5, 3))) == 3, "no covariance at all"


def test_the_kernel_distance_counts_pairs_of_different_vectors():
    random = np.random.default_rng(1)
    X, Y = random.normal(size=(4, 3)), random.normal(size=(5, 3))
    of = lambda a, b: (a @ b / 3 + 1) ** 3  # noqa: E731
    within = [np.mean([of(a, b) for i, a in enumerate(Z) for j, b in enumerate(Z) if i != j]) for Z in (X, Y)]
    assert kernel_distance(X, Y) == pytest.approx(sum(within) - 2 * np.mean([of(a, b) for a in X for b in Y]))
    same = [kernel_distance(*np.split(random.normal(size=(40, 3)), 2)) for _ in range(200)]
    assert abs(np.mean(same)) < 4 * np.std(same) / 200**0.5 and min(same) < 0, "without bias"


@pytest.mark.parametrize("X, Y", [(np.ones((1, 3)), np.ones((4, 3))), (np.ones((4, 3)), np.ones((4, 2)))])
def test_sets_that_cannot_be_compared_are_refused(X, Y):
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(InputError, match="two or more vectors each, of one width, are right"):
            distance(X, Y)


@pytest.mark.parametrize(
    "wrong, line",
    [
        (np.nan, "second set, vector 2 of 4, feature 3: nan; a finite number"),
        (-np.inf, "second set, vector 2 of 4, feature 3: -inf"),
        (1e200, "from -1e[+]50 to 1e[+]50 is right"),
    ],
)
def test_what_is_no_number_is_refused_at_its_place(wrong, line):
    Y = np.ones((4, 3))
    Y[1, 2] = wrong
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(InputError, match=line):
            distance(np.ones((4, 3)), Y)


@pytest.mark.parametrize(
    "wrong", [[["a"], ["b"]], [[1, 2], [3]], np.ones((2, 1)) * 1j, np.ones((2, 0)), np.ones((0, 1))]
)
def test_sets_without_real_numbers_are_refused(wrong):
    with pytest.raises(InputError, match="are right"):
        frechet_distance(wrong, wrong)


def test_the_average_is_pytorchs():
    """Of weights and running statistics; counts of batches are the latest."""
    assert ema_decay(500) == pytest.approx(golden("decay"), rel=1e-12)
    decay = ema_decay(3)
    theirs = torch.nn.BatchNorm1d(2).double()
    of_all = torch.optim.swa_utils.AveragedModel(
        theirs, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay), use_buffers=True
    )
    of_all.update_parameters(theirs)  # the first is a copy
    pure = functional(nn.BatchNorm(2))
    tree = jax.tree.map(lambda x: x.astype("f8") if x.dtype == "f4" else x, (pure.params, pure.buffers))
    average = now = tree
    random = np.random.default_rng(0)
    for number in range(1, 5):
        scale, mean = random.normal(size=2), random.normal(size=2)
        with torch.no_grad():
            theirs.weight.copy_(torch.tensor(scale))
            theirs.running_mean.copy_(torch.tensor(mean))
        of_all.update_parameters(theirs)
        params, buffers = tree
        now = (
            params | {"scale": jnp.asarray(scale)},
            buffers
            | {
                "mean": jnp.asarray(mean),
                "num_batches_tracked": jnp.asarray(number, jnp.int32),
            },
        )
        average = moved_average(average, now, decay)
    np.testing.assert_allclose(average[0]["scale"], of_all.module.weight.detach(), rtol=1e-12)
    np.testing.assert_allclose(average[1]["mean"], of_all.module.running_mean, rtol=1e-12)
    assert average[1]["num_batches_tracked"] == 4
    assert not np.allclose(moved_average(average, now, 0.5)[0]["scale"], average[0]["scale"]), "control"


def test_spectral_weights_are_pytorchs_after_several_calls():
    """Evaluation leaves the estimates alone, and the norm of the weight that is used comes to 1."""
    layer = nn.SpectralLinear(5, 3, rngs=nnx.Rngs(0))
    theirs = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(5, 3))
    weight = layer.parametrizations.weight
    vectors = getattr(weight, "0")
    names = {"original": weight.original[...].T, "0._u": vectors._u[...], "0._v": vectors._v[...]}
    state = {f"parametrizations.weight.{name}": torch.tensor(np.asarray(x)) for name, x in names.items()}
    theirs.load_state_dict(state | {"bias": torch.tensor(np.asarray(layer.bias[...]))})
    x = jnp.ones((2, 5), jnp.float32)
    for _ in range(3):
        ours = layer(x)
        np.testing.assert_allclose(ours, theirs(torch.ones(2, 5)).detach(), rtol=1e-5)
    before = np.asarray(vectors._u[...])
    still = nnx.view(layer, use_running_average=True)
    still(x)
    assert np.array_equal(before, vectors._u[...])
    kernels = [weight() for _ in range(100)]
    assert np.linalg.norm(kernels[-1], 2) == pytest.approx(1, abs=1e-5)
