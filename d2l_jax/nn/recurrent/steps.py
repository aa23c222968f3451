"""One step of each recurrence as a pure function, with PyTorch's gate orders and both of its bias vectors."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from d2l_jax.cpu.thresholds import LSTM_HIDDEN
from d2l_jax.nn.recurrent.residuals import copied_residual, residual

Inputs = Float[Array, "batch features"]
Hidden = Float[Array, "batch hidden"]


class Weights(NamedTuple):
    """Weights of one direction of one layer: PyTorch's matrices transposed, and its biases if it has any.

    Shapes: input (features, gates x hidden), hidden (hidden, gates x hidden), biases (gates x hidden,).
    """

    input: Float[Array, "features rows"]
    hidden: Float[Array, "hidden rows"]
    input_bias: Float[Array, " rows"] | None = None
    hidden_bias: Float[Array, " rows"] | None = None


def rnn_step(weights: Weights, x: Inputs, H: Hidden, activation: Callable[[Array], Array] = jnp.tanh) -> Hidden:
    """activation(W_ih x + b_ih + W_hh H + b_hh) (Elman 1990; book, section 9.4)."""
    from_input, from_hidden = _products(weights, x, H)
    return activation(copied_residual(from_input + from_hidden))


def lstm_step(weights: Weights, x: Inputs, state: tuple[Hidden, Hidden]) -> tuple[Hidden, Hidden]:
    """(H, C) -> (H, C), gates in the order i, f, g, o (Hochreiter and Schmidhuber 1997; book, section 10.1)."""
    H, C = state
    from_input, from_hidden = _products(weights, x, H)
    keep = copied_residual if H.shape[-1] >= LSTM_HIDDEN else residual
    i, f, g, o = jnp.split(keep(from_input + from_hidden), 4, axis=-1)
    C = jax.nn.sigmoid(f) * C + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(C), C


def gru_step(weights: Weights, x: Inputs, H: Hidden) -> Hidden:
    """H -> H, gates in the order r, z, n (Cho et al. 2014; book, section 10.2); r acts after the hidden product."""
    from_input, from_hidden = _products(weights, x, H)
    x_r, x_z, x_n = jnp.split(residual(from_input), 3, axis=-1)
    h_r, h_z, h_n = jnp.split(residual(from_hidden), 3, axis=-1)
    r = jax.nn.sigmoid(x_r + h_r)
    z = jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + r * h_n)
    return n + z * (H - n)


def _products(weights: Weights, x: Inputs, H: Hidden) -> tuple[Array, Array]:
    from_input = x @ weights.input
    from_hidden = H @ weights.hidden
    if weights.input_bias is not None:
        from_input += lax.broadcast_to_rank(weights.input_bias, from_input.ndim)
    if weights.hidden_bias is not None:
        from_hidden += lax.broadcast_to_rank(weights.hidden_bias, from_hidden.ndim)
    return from_input, from_hidden
