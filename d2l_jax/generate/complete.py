"""Continuation of a text by a language model (book, section 9.5.4)."""

from collections.abc import Callable
from typing import Any, Protocol

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from d2l_jax.cpu.compile import jit
from d2l_jax.functional import Tree, eval_view, functional
from d2l_jax.generate.inputs import as_ids, at_least


class LanguageModel(Protocol):
    """A model that scores the next token at every step and returns the state from which the text continues."""

    vocab_size: int

    def run(self, ids: Int[Array, "batch steps"], state: Any) -> tuple[Float[Array, "batch steps vocab"], Any]: ...


def make_completion(
    model: Any, num_preds: int
) -> Callable[[Tree, Tree, Int[Array, "batch prefix"]], Int[Array, "batch whole"]]:
    """Returns a jitted function that continues texts by `num_preds` tokens, in evaluation mode (book, section 9.5.4).

    Calls: (params, buffers, prefix (batch, p)) -> prefix and continuation (batch, p + num_preds), ids of tokens.
    The model, a `LanguageModel`, reads the prefix from the state None; then the most probable token follows at every
    step.
    Raises: InputError for less than one prediction; when called, for an empty prefix or a token beyond the vocabulary.
    """
    complete = jit(completion(model, num_preds))

    def checked(params: Tree, buffers: Tree, prefix: Any) -> Array:
        return complete(params, buffers, as_ids("the prefix", prefix, model.vocab_size))

    return checked


def completion(model: Any, num_preds: int) -> Callable[[Tree, Tree, Array], Array]:
    """Returns the function of `make_completion`, neither jitted nor behind a check of the prefix."""
    at_least("num_preds", num_preds, 1)
    run = functional(eval_view(model), lambda model, ids, state: model.run(ids, state)).apply

    def complete(params: Tree, buffers: Tree, prefix: Array) -> Array:
        def extend(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], Array]:
            token, state = carry
            logits, state = run(params, buffers, token[:, None], state)[0]
            return (_most_probable(logits), state), token

        logits, state = run(params, buffers, prefix, None)[0]
        _, continuation = lax.scan(extend, (_most_probable(logits), state), None, num_preds)
        return jnp.concatenate([prefix, continuation.T.astype(prefix.dtype)], 1)

    return complete


def _most_probable(logits: Float[Array, "batch steps vocab"]) -> Int[Array, " batch"]:
    return lax.argmax(logits[:, -1], 1, jnp.int32)
