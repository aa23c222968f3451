"""Beam search (book, section 10.8.3)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from d2l_jax.errors import InputError
from d2l_jax.functional import Tree
from d2l_jax.generate.inputs import at_least
from d2l_jax.generate.stepwise import Search, of_sources, stepwise, vocabulary
from d2l_jax.models.encoder_decoder import EncoderDecoder


class Beam(NamedTuple):
    """The search for a sentence: its `width` best prefixes, and the best candidate so far.

    ids:    (width, steps) integers, <eos> after the end of a prefix
    last:   (width,) integers, the last token of each prefix, which the decoder reads next
    log_p:  (width,) sums of log-probabilities; -inf where there is no prefix
    states: states of the decoder, with a leading axis of width
    best:   (steps,) integers, the best candidate
    score:  () the score of the best candidate
    """

    ids: Int[Array, "width steps"]
    last: Int[Array, " width"]
    log_p: Float[Array, " width"]
    states: Any
    best: Int[Array, " steps"]
    score: Float[Array, ""]


def make_beam_search(model: EncoderDecoder, steps: int, bos: int, eos: int, width: int, alpha: float = 0.75) -> Search:
    """Returns a jitted beam search in evaluation mode (book, section 10.8.3).

    Calls: (params, buffers, src (batch, sources), valid_lens (batch,)) -> (ids (batch, steps), scores (batch,)).
    Each step retains the `width` most probable extensions of all prefixes. An extension that ends with <eos> becomes a
    candidate and is extended no more (Sutskever et al. 2014); at the last step all are candidates. The candidate with
    the highest score wins, sum of log-probabilities / length**alpha, where <eos> counts to both. Every id from its
    <eos> on is <eos>.
    Raises: InputError for less than one step, a `width` that is not between 1 and the number of sequences, or tokens
    beyond the vocabulary; when called, as `make_greedy`.
    """
    return of_sources(model, beam_search(model, steps, bos, eos, width, alpha))


def beam_search(model: EncoderDecoder, steps: int, bos: int, eos: int, width: int, alpha: float = 0.75) -> Search:
    """Returns the search of `make_beam_search` as a pure function, neither jitted nor behind a check of its sources."""
    start, step = stepwise(model, steps)
    vocab = vocabulary(model, bos=bos, eos=eos)
    at_least("width", width, 1)
    if width > vocab**steps:
        raise InputError(f"width is {width}, but {vocab} tokens have only {vocab**steps} sequences of {steps}")

    def search(params: Tree, buffers: Tree, src: Array, valid_lens: Array) -> tuple[Array, Array]:
        def advance(token: Array, state: Any) -> tuple[Array, Any]:
            (log_p, state), _ = step(params, buffers, token[None], state)
            return log_p[0], state

        def search_one(src: Array, valid_len: Array) -> tuple[Array, Array]:
            state, _ = start(params, buffers, src[None], valid_len[None])
            beam = _first(state, steps, bos, eos, width, jax.tree.leaves(params)[0].dtype)
            extend = _extending(jax.vmap(advance), steps, eos, alpha)
            beam, _ = lax.scan(extend, beam, jnp.arange(steps))
            return beam.best, beam.score

        # By sentence and prefix, batches of one: nobody need know where a state has its batch axis.
        return jax.vmap(search_one)(src, valid_lens)

    return search


def _first(state: Any, steps: int, bos: int, eos: int, width: int, dtype: Any) -> Beam:
    """The start of a search: the prefix <bos> in the first of `width` places."""
    return Beam(
        ids=jnp.full((width, steps), eos, jnp.int32),
        last=jnp.full(width, bos, jnp.int32),
        log_p=jnp.full(width, -jnp.inf, dtype).at[0].set(0),
        states=jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (width, *leaf.shape)), state),
        best=jnp.full(steps, eos, jnp.int32),
        score=jnp.array(-jnp.inf, dtype),
    )


def _extending(advance: Callable, steps: int, eos: int, alpha: float) -> Callable[[Beam, Array], tuple[Beam, None]]:
    """Returns a step of the search, a function for `lax.scan`."""

    def extend(beam: Beam, t: Array) -> tuple[Beam, None]:
        log_p, states = advance(beam.last, beam.states)
        total, chosen = lax.top_k((beam.log_p[:, None] + log_p).reshape(-1), len(beam.last))
        parent, last = jnp.divmod(chosen.astype(jnp.int32), log_p.shape[1])
        ids = beam.ids[parent].at[:, t].set(last)
        ended = (last == eos) | (t == steps - 1)
        scores = total.astype(float) / (t.astype(float) + 1) ** alpha
        scores = jnp.where(ended, scores, -jnp.inf).astype(total.dtype)
        first = jnp.argmax(scores)
        better = scores[first] > beam.score
        best = jnp.where(better, ids[first], beam.best)
        states = jax.tree.map(lambda leaf: leaf[parent], states)
        log_p = jnp.where(ended, -jnp.inf, total)
        return Beam(ids, last, log_p, states, best, jnp.maximum(scores[first], beam.score)), None

    return extend
