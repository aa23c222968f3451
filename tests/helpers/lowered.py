"""What the tests of lowered convolutions share."""

import jax
import numpy as np

LAYOUT = ("NHWC", "HWIO", "NHWC")


def value_and_gradients(function, x, w, g):
    y, vjp = jax.vjp(function, x, w)
    return y, *vjp(g)


def close(a, b, ulps=1e4):
    np.testing.assert_allclose(a, b, rtol=0, atol=ulps * float(np.finfo(a.dtype).eps))
