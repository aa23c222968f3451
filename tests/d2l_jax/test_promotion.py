"""The settings of the suite: nothing is promoted silently, except where the table of exceptions says so."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from d2l_jax import functional
from d2l_jax.models import LinearRegressionScratch

RANKS = "jax_numpy_rank_promotion"


class Promoting(LinearRegressionScratch):
    """Adds a bias (1,) to rows (batch, 1) without saying so."""

    def __call__(self, X):
        return X @ self.w[...] + self.b[...]


def scores(model: type[LinearRegressionScratch], X: jax.Array) -> Any:
    apply, params, buffers = functional(model(2, rngs=nnx.Rngs(0)))
    return jax.jit(apply)(params, buffers, X)[0]


def test_an_implicit_rank_promotion_raises():
    """A model raises where it adds a vector to rows; the library's model, which says so, does not."""
    X = jnp.ones((3, 2), jnp.float32)
    assert scores(LinearRegressionScratch, X).shape == (3, 1)
    with pytest.raises(ValueError, match="rank_promotion='raise'"):
        scores(Promoting, X)


def test_an_implicit_dtype_promotion_raises():
    """A float32 model raises where it meets a batch in float64."""
    with pytest.raises(ValueError, match="implicit dtype promotion"):
        scores(LinearRegressionScratch, jnp.ones((3, 2), jnp.float64))


@pytest.mark.usefixtures("promoting")
def test_what_is_excepted_promotes():
    """Both plants pass in JAX's own settings: it is the suite's that refuse them."""
    assert scores(Promoting, jnp.ones((3, 2), jnp.float64)).shape == (3, 1)


def test_a_program_is_the_same_as_with_implicit_promotion(set_jax):
    """`b[None]` lowers to the program of `X @ W + b`, operation by operation."""
    X = jnp.ones((3, 2), jnp.float32)
    set_jax(RANKS, "allow")
    said, implicit = (
        jax.jit(lambda X, model=model: model(2, rngs=nnx.Rngs(0))(X)).lower(X).as_text()
        for model in (LinearRegressionScratch, Promoting)
    )
    assert said == implicit


def test_every_exception_is_a_file_or_folder_of_tests(pytestconfig):
    """The table excepts nothing that is gone."""
    tests = pytestconfig.rootpath / "tests"
    names = {path.name for path in tests.rglob("*")}
    table = pytestconfig.pluginmanager.getplugin(str(tests / "conftest.py")).PROMOTING
    assert table.keys() == {"jax_numpy_dtype_promotion", RANKS}
    for places in table.values():
        assert places.keys() <= names
