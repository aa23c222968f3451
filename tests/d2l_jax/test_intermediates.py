"""What modules sow: dropped by `functional`, given by `intermediates`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from d2l_jax import functional, intermediates


class Sower(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.blks = nnx.List([nnx.Dropout(0.5, rngs=rngs), nnx.Linear(3, 3, rngs=rngs)])

    def __call__(self, X):
        for layer in self.blks:
            X = layer(X)
            self.sow(nnx.Intermediate, "attention_weights", X)
        return X

    def twice(self, X):
        return self(self(X))


def test_functional_drops_what_is_sown():
    apply, params, buffers = functional(Sower(nnx.Rngs(0)))
    X = jnp.ones((2, 3), "float32")
    _, after = jax.jit(apply)(params, buffers, X)
    assert jax.tree.structure(after) == jax.tree.structure(buffers)
    (last, _) = jax.lax.scan(lambda carry, _: (apply(params, carry, X)[1], None), buffers, length=3)
    assert last["blks"][0]["rngs"]["count"] == 3


@pytest.mark.filterwarnings("ignore:Using 'Module.sow:DeprecationWarning")
@pytest.mark.parametrize("take", [functional, intermediates])
def test_what_was_sown_before_is_no_buffer(take):
    model = Sower(nnx.Rngs(0))
    clean = take(model)
    model(jnp.ones((2, 3), "float32"))
    assert "attention_weights" in nnx.to_pure_dict(nnx.state(model))
    assert jax.tree.structure(take(model)[1:]) == jax.tree.structure(clean[1:])
    assert "attention_weights" in nnx.to_pure_dict(nnx.state(model))


def test_intermediates_gives_what_is_sown_by_every_call():
    model = Sower(nnx.Rngs(0))
    X = jnp.ones((2, 3), "float32")
    apply, params, buffers = intermediates(model)
    outputs, sown = jax.jit(apply)(params, buffers, X)
    expected, _ = functional(model).apply(params, buffers, X)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    assert list(sown) == ["attention_weights"]
    dropped, last = sown["attention_weights"]
    np.testing.assert_array_equal(last, outputs)
    assert set(np.unique(dropped)) <= {0, 2}


def test_another_method_than_the_call():
    model = nnx.view(Sower(nnx.Rngs(0)), deterministic=True)
    X = jnp.ones((2, 3), "float32")
    call, params, buffers = functional(model)
    once, _ = call(params, buffers, X)
    expected, _ = call(params, buffers, once)
    outputs, sown = intermediates(model, Sower.twice).apply(params, buffers, X)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    np.testing.assert_array_equal(functional(model, Sower.twice).apply(params, buffers, X)[0], outputs)
    assert len(sown["attention_weights"]) == 4
