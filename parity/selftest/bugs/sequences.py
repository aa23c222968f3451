"""Bugs in embeddings, attention and recurrent layers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from parity.selftest.bug import Bug, become, setting
from parity.selftest.layers import GRU, LSTM, Embedding, MultiheadAttention
from parity.selftest.pairs import ATTENTION, LOOKUP, RECURRENT
from parity.selftest.pairs.sequences import Block


class Scaled(Embedding):
    def __call__(self, ids: Array) -> Array:
        return super().__call__(ids) * self.weight.shape[1] ** 0.5


class Unscaled(MultiheadAttention):
    def scale(self, size: int) -> float:
        return 1.0


class OtherPolarity(MultiheadAttention):
    """Takes True in the mask for "keep", as Flax does."""

    def masked(self, scores: Array, mask: Array) -> Array:
        return jnp.where(mask, scores, -jnp.inf)

    def weights(self, scores: Array) -> Array:
        return jnp.where(jnp.isinf(scores).all(-1, keepdims=True), 0, super().weights(scores))


class Unmasked(MultiheadAttention):
    def masked(self, scores: Array, mask: Array) -> Array:
        return scores


class Interleaved(MultiheadAttention):
    """Features are dealt to the heads in turn."""

    def split(self, x: Array) -> Array:
        return x.reshape(*x.shape[:2], -1, self.heads).transpose(0, 3, 1, 2)


class OverQueries(MultiheadAttention):
    def weights(self, scores: Array) -> Array:
        return jax.nn.softmax(scores, -2)


class NoResidual(Block):
    def residual(self, x: Array, y: Array) -> Array:
        return y


class NoMask(Block):
    def mask(self, length: int) -> Array | None:
        return jnp.zeros((length, length), bool)


class OutputFirst(LSTM):
    """Gates in the order i, f, o, g."""

    def order(self, gates: list[Array]) -> list[Array]:
        i, f, o, g = gates
        return [i, f, g, o]


class OneBias(LSTM):
    def of_state(self, h: Array) -> Array:
        return h @ self.weight_hh_l0[...].T


class MergedBiases(LSTM):
    """Merges two biases into one: it receives the whole gradient, the other none."""

    def of_state(self, h: Array) -> Array:
        return h @ self.weight_hh_l0[...].T + jax.lax.stop_gradient(self.bias_hh_l0[...])


class ZFirst(GRU):
    """Gates in the order z, r, n."""

    def order(self, gates: list[Array]) -> list[Array]:
        z, r, n = gates
        return [r, z, n]


class ResetBefore(GRU):
    """The reset gate before the product, as Cho et al. (2014)."""

    def step(self, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        r, z, n = self.gates(self.of_input(x))
        hr, hz, _ = self.gates(self.of_state(h))
        r = jax.nn.sigmoid(r + hr)
        z = jax.nn.sigmoid(z + hz)
        return (1 - z) * jnp.tanh(n + self.gates(self.of_state(r * h))[2]) + z * h, c


class OtherUpdate(GRU):
    """Takes the new state by z, not by 1 - z."""

    def step(self, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        r, z, n = self.gates(self.of_input(x))
        hr, hz, hn = self.gates(self.of_state(h))
        r = jax.nn.sigmoid(r + hr)
        z = jax.nn.sigmoid(z + hz)
        return z * jnp.tanh(n + r * hn) + (1 - z) * h, c


BUGS = (
    Bug("padding index learns", LOOKUP, "embed", ("padding-idx",), setting("embed", padding_idx=None)),
    Bug("embedding times the root of its size", LOOKUP, "embed", ("embedding-scale",), become("embed", Scaled)),
    Bug("attention without its scale", ATTENTION, "attention", ("attention-scale",), become("attention", Unscaled)),
    Bug("mask the other way round", ATTENTION, "attention", ("mask-polarity",), become("attention", OtherPolarity)),
    Bug("mask left out", ATTENTION, "attention", ("mask-missing",), become("attention", Unmasked)),
    Bug("causal mask missing in the model", ATTENTION, "", ("causal-mask", "all-zeros"), become("", NoMask)),
    Bug("heads interleaved", ATTENTION, "attention", ("heads-interleaved",), become("attention", Interleaved)),
    Bug("softmax over the queries", ATTENTION, "attention", ("softmax-axis",), become("attention", OverQueries)),
    Bug("residual connection left out", ATTENTION, "", ("residual-missing",), become("", NoResidual)),
    Bug("LSTM's gates in the order i, f, o, g", RECURRENT, "lstm", ("gate-order",), become("lstm", OutputFirst)),
    Bug("LSTM's second bias left out", RECURRENT, "lstm", ("second-bias-missing",), become("lstm", OneBias)),
    Bug("LSTM's biases merged", RECURRENT, "lstm", ("all-zeros", "biases-merged"), become("lstm", MergedBiases)),
    Bug("GRU's gates in the order z, r, n", RECURRENT, "gru", ("gate-order",), become("gru", ZFirst)),
    Bug("GRU's reset before the product", RECURRENT, "gru", ("reset-before",), become("gru", ResetBefore)),
    Bug("GRU's update gate turned round", RECURRENT, "gru", ("update-complement",), become("gru", OtherUpdate)),
)
