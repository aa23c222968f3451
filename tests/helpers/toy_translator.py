"""A small translator whose decoder has states of every kind, and its answers from all steps at once."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from d2l_jax import eval_view, functional
from d2l_jax.models import EncoderDecoder

SOURCES = 7
VOCAB = 5
HIDDENS = 6
LAYERS = 2
BOS = 1
EOS = 3


def matrix(rngs: nnx.Rngs, *shape: int) -> nnx.Param:
    return nnx.Param(jax.random.normal(rngs.params(), shape, jnp.float32))


class Reader(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.embedding = nnx.Embed(SOURCES, HIDDENS, embedding_init=nnx.initializers.normal(1.0), rngs=rngs)

    def __call__(self, X, enc_valid_lens):
        known = jnp.arange(X.shape[1])[None] < enc_valid_lens[:, None]
        read = jnp.where(known[..., None], self.embedding(X), 0)
        self.sow(nnx.Intermediate, "read", read)
        return read.swapaxes(0, 1)


class Writer(nnx.Module):
    """States with the batch in front, second and nowhere, a cache among them."""

    def __init__(self, rngs: nnx.Rngs, vocab: int = VOCAB):
        self.embedding = nnx.Embed(vocab, HIDDENS, embedding_init=nnx.initializers.normal(1.0), rngs=rngs)
        self.W_hh = matrix(rngs, HIDDENS, HIDDENS)
        self.W_hq = matrix(rngs, 2 * HIDDENS, vocab)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def init_state(self, enc_outputs, enc_valid_lens, cache_len=None):
        context = enc_outputs.sum(0) / enc_valid_lens[:, None].astype(enc_outputs.dtype)
        cache = jnp.zeros((len(context), cache_len or 1, HIDDENS), context.dtype)
        return {"hidden": jnp.stack([context] * LAYERS), "cache": cache, "position": jnp.zeros((), jnp.int32)}

    def __call__(self, X, state):
        hidden = state["hidden"]
        cache = state["cache"]
        position = state["position"]
        Y = []
        for token in X.swapaxes(0, 1):
            hidden = jnp.tanh(hidden @ self.W_hh[...] + self.embedding(token)[None])
            cache = jax.lax.dynamic_update_slice_in_dim(cache, hidden[-1][:, None], position, 1)
            seen = jnp.arange(cache.shape[1], dtype=position.dtype) <= position
            share = seen.astype(cache.dtype) / (position + 1).astype(cache.dtype)
            self.sow(nnx.Intermediate, "share", jnp.broadcast_to(share, cache.shape[:2]))
            features = jnp.concatenate([hidden[-1], jnp.einsum("s,bsh->bh", share, cache)], -1)
            Y.append(self.dropout(features) @ self.W_hq[...])
            position = position + 1
        return jnp.stack(Y, 1), {"hidden": hidden, "cache": cache, "position": position}


def translator(seed: int, vocab: int = VOCAB) -> EncoderDecoder:
    rngs = nnx.Rngs(seed)
    return EncoderDecoder(Reader(rngs), Writer(rngs, vocab))


def sentences(seed: int, count: int = 3, steps: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(0, SOURCES, (count, steps)), random.integers(1, steps + 1, count)


def logits(model: EncoderDecoder, src, valid_lens, inputs) -> jax.Array:
    """Returns the scores of all steps at once, from the first state."""
    return ALL_STEPS(*trees(model), jnp.asarray(src), jnp.asarray(valid_lens), jnp.asarray(inputs))[0]


def log_probabilities(model: EncoderDecoder, src, valid_lens, ids) -> np.ndarray:
    """Returns the log-probability of each token of `ids` (batch, steps), read at once with all the tokens before it."""
    inputs = jnp.concatenate([jnp.full((len(ids), 1), BOS, ids.dtype), ids[:, :-1]], 1)
    log_p = jax.nn.log_softmax(logits(model, src, valid_lens, inputs))
    return np.take_along_axis(np.asarray(log_p), np.asarray(ids)[..., None], -1)[..., 0]


def trees(model: nnx.Module) -> tuple[dict, dict]:
    _, params, buffers = functional(model)
    return params, buffers


def read_and_write(model: EncoderDecoder, src, valid_lens, inputs) -> jax.Array:
    state = model.decoder.init_state(model.encoder(src, valid_lens), valid_lens, cache_len=inputs.shape[1])
    return model.decoder(inputs, state)[0]


MODEL = translator(0)
ALL_STEPS = jax.jit(functional(eval_view(MODEL), read_and_write).apply)


# Completion
class Speaker(nnx.Module):
    vocab_size = VOCAB

    def __init__(self, rngs: nnx.Rngs):
        self.embedding = nnx.Embed(VOCAB, HIDDENS, embedding_init=nnx.initializers.normal(1.0), rngs=rngs)
        self.W_hh = matrix(rngs, HIDDENS, HIDDENS)
        self.W_hq = matrix(rngs, HIDDENS, VOCAB)

    def run(self, ids, state):
        H = jnp.zeros((len(ids), HIDDENS), self.W_hh.dtype) if state is None else state
        Y = []
        for token in ids.swapaxes(0, 1):
            H = jnp.tanh(H @ self.W_hh[...] + self.embedding(token))
            Y.append(H @ self.W_hq[...])
        return jnp.stack(Y, 1), H
