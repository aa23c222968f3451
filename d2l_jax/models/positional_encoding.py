"""The position of a token as sines and cosines (book, section 11.6)."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from d2l_jax.errors import InputError

Sequences = Float[Array, "batch steps hiddens"]


class PositionalEncoding(nnx.Module):
    """Adds sin and cos of i / 10000^(2j/d) to units 2j and 2j + 1 of step i (Vaswani et al. 2017; book, section 11.6).

    `offset` is the position of the first step. A traced offset that leads beyond `max_len` raises no error: the
    last `steps` positions are added. Raises InputError for an odd `num_hiddens` and for steps beyond `max_len`.
    """

    def __init__(self, num_hiddens: int, dropout: float, max_len: int = 1000, *, rngs: nnx.Rngs):
        if num_hiddens % 2:
            raise InputError(
                f"positional encoding of {num_hiddens} units; pairs of sine and cosine need an even number"
            )
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.num_hiddens = num_hiddens
        self.max_len = max_len

    @property
    def P(self) -> Float[np.ndarray, "1 max_len hiddens"]:
        """The table of sines and cosines: a constant in float64, no variable, so that no state_dict has it."""
        rates = 10000 ** (np.arange(0, self.num_hiddens, 2) / self.num_hiddens)
        angles = np.arange(self.max_len)[:, None] / rates
        return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(1, self.max_len, self.num_hiddens)

    def __call__(self, X: Sequences, offset: int | Int[Array, ""] = 0) -> Sequences:
        steps = X.shape[1]
        end = steps + offset if isinstance(offset, int) else steps
        if end > self.max_len:
            raise InputError(f"a sequence of {end} steps; the positional encoding ends at max_len={self.max_len}")
        P = lax.dynamic_slice_in_dim(jnp.asarray(self.P, X.dtype), offset, steps, axis=1)
        return self.dropout(X + P)
