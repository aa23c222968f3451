"""The proof of Gaussian processes can fail: a loss not shared out, a term too few, the other edition's length scale."""

from dataclasses import dataclass, replace
from functools import partial

import jax.numpy as jnp
import pytest
from failing import failing

from d2l_jax import algorithms, models
from d2l_jax.algorithms import rbfkernel
from d2l_jax.catalog import get
from parity.proof.cases import check_case
from parity.twin.pairing import twin_of

NAMES = ["gp-priors", "marginal-likelihood", "gp-posterior", "exact-gp"]


def failures(result) -> list[str]:
    return [str(row.key) for row in result.rows["float64"] if not row.passed]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_case_passes(name):
    result = check_case(get(name), steps=1)
    assert result.status == "pass", (result.error, failures(result)[:5])


def of_all_points(nets, tensors):
    """GPyTorch divides by their number."""
    loss, more = models.exact_marginal_loss(nets, tensors)
    return loss * len(tensors["y"]), more


def without_determinant(nets, tensors):
    """Rewards large variances, which the determinant forbids."""
    loss, more = models.exact_marginal_loss(nets, tensors)
    return loss - jnp.linalg.slogdet(more["covariance"])[1] / 2 / len(tensors["y"]), more


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [of_all_points, without_determinant])
def test_another_loss_is_found(wrong):
    twin = twin_of(get("exact-gp"), steps=1)
    (turn,) = twin.flax.turns
    failed = failing(replace(twin, flax=replace(twin.flax, turns=(turn._replace(objective=wrong),))))
    assert "forward/loss" in failed and "forward/covariance" not in failed


@dataclass(frozen=True)
class Posterior(algorithms.Posterior):
    """With the second edition's meaning of `ls`."""

    def __call__(self, nets, tensors):
        kernel = partial(rbfkernel, ls=self.ls, ls_is="length")
        known = algorithms.posterior(kernel, tensors["X"], tensors["y"], tensors["X_new"], self.noise)
        return super().__call__(nets, tensors) | known._asdict()


def test_the_other_editions_length_scale_is_found():
    failed = failing(twin_of(replace(get("gp-posterior"), observe=Posterior()), steps=1))
    assert {"evaluation/mean", "evaluation/covariance"} <= set(failed) and "evaluation/lower" not in failed
