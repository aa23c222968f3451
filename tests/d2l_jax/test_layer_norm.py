"""Layer normalisation: PyTorch's numbers, derivatives of every kind, with the CPU's form and without."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.test_util import check_grads

from d2l_jax import functional, nn
from d2l_jax.cpu.switch import plain_lax
from d2l_jax.nn.layer_norm import standardised

R = np.random.default_rng(0)
X = R.normal(size=(3, 4, 7))
COTANGENT = R.normal(size=X.shape)
SCALE = R.normal(size=7)
BIAS = R.normal(size=7)


def ours(x, scale, bias):
    apply, _, buffers = functional(nn.LayerNorm(7))
    return apply({"scale": scale, "bias": bias}, buffers, x)[0]


def theirs():
    tensors = [torch.tensor(a, requires_grad=True) for a in (X, SCALE, BIAS)]
    output = torch.nn.functional.layer_norm(tensors[0], (7,), *tensors[1:])
    output.backward(torch.tensor(COTANGENT))
    return output.detach().numpy(), [tensor.grad.numpy() for tensor in tensors]


@pytest.mark.parametrize("form", ["cpu", "plain"])
def test_outputs_and_gradients_are_pytorchs(form):
    def pulled(*args):
        with plain_lax() if form == "plain" else jax.named_scope("cpu"):
            output, pull = jax.vjp(ours, *args)
            return output, pull(jnp.asarray(COTANGENT))

    output, gradients = jax.jit(pulled)(*map(jnp.asarray, (X, SCALE, BIAS)))
    expected, expected_gradients = theirs()
    np.testing.assert_allclose(output, expected, rtol=1e-12, atol=1e-13)
    for gradient, right in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, right, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("promoting")  # by JAX's own test
def test_derivatives_of_second_order_in_both_modes():
    check_grads(jax.jit(lambda x: standardised(x, 1e-5)), (jnp.asarray(X),), order=2, modes=("fwd", "rev"))


@pytest.mark.usefixtures("promoting")
def test_control_a_derivative_that_forgets_the_variance_is_caught():
    @jax.custom_jvp
    def forgetful(x):
        return standardised(x, 1e-5)

    @forgetful.defjvp
    def _(primals, tangents):
        return forgetful(*primals), tangents[0] - tangents[0].mean(-1, keepdims=True)

    with pytest.raises(AssertionError):
        check_grads(jax.jit(forgetful), (jnp.asarray(X),), order=1, modes=("fwd",))


def test_half_precision_is_summed_in_float32():
    x = jnp.asarray(300 + X, jnp.bfloat16)
    layer = nn.LayerNorm(7)
    layer.scale.set_value(layer.scale[...].astype(jnp.bfloat16))
    layer.bias.set_value(layer.bias[...].astype(jnp.bfloat16))
    output = layer(x)
    exact = torch.nn.functional.layer_norm(torch.tensor(np.asarray(x, np.float64)), (7,))
    assert output.dtype == jnp.bfloat16
    np.testing.assert_allclose(output.astype(jnp.float64), exact, atol=2e-2)
