"""Greedy translation: the most probable token at every step (book, sections 10.7.5 and 10.8.1)."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int

from d2l_jax.functional import Tree
from d2l_jax.generate.stepwise import Search, of_sources, stepwise, vocabulary
from d2l_jax.models.encoder_decoder import EncoderDecoder


def make_greedy(model: EncoderDecoder, steps: int, bos: int, *, with_attention: bool = False) -> Search:
    """Returns a jitted greedy search in evaluation mode (book, sections 10.7.5 and 10.8.1).

    Calls: (params, buffers, src (batch, sources), valid_lens (batch,))
    -> (ids, log-probabilities), both (batch, steps).
    The search takes `steps` steps from <bos>, also after <eos>, where `until_eos` cuts.

    with_attention: adds a third result, the attention weights as `intermediates` names them, the decoder's with a
                    leading axis of steps

    Raises: InputError for less than one step or a `bos` beyond the vocabulary; when called, for a token beyond the
    vocabulary or a valid length that is not between 1 and the number of source steps.
    """
    return of_sources(model, greedy_search(model, steps, bos, with_attention=with_attention))


def greedy_search(model: EncoderDecoder, steps: int, bos: int, *, with_attention: bool = False) -> Search:
    """Returns the search of `make_greedy` as a pure function, neither jitted nor behind a check of its sources."""
    vocabulary(model, bos=bos)
    start, step = stepwise(model, steps)

    def greedy(params: Tree, buffers: Tree, src: Array, valid_lens: Array) -> tuple[Any, ...]:
        state, read = start(params, buffers, src, valid_lens)

        def extend(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], Any]:
            (log_p, state), sown = step(params, buffers, *carry)
            tokens = lax.argmax(log_p, 1, jnp.int32)
            return (tokens, state), (tokens, jnp.max(log_p, 1), sown)

        first = jnp.full(len(src), bos, jnp.int32)
        _, (ids, log_p, sown) = lax.scan(extend, (first, state), length=steps)
        return (ids.T, log_p.T, read | sown) if with_attention else (ids.T, log_p.T)

    return greedy


def until_eos(ids: Int[Array, "batch steps"], eos: int) -> list[list[int]]:
    """The tokens of each sentence before its first <eos>, as lists."""
    sentences = np.asarray(ids).tolist()
    return [tokens[: tokens.index(eos)] if eos in tokens else tokens for tokens in sentences]
