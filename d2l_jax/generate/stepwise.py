"""An encoder-decoder as the two pure functions that a search needs."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Int

from d2l_jax.cpu import log_softmax
from d2l_jax.cpu.compile import jit
from d2l_jax.functional import Tree, eval_view, intermediates
from d2l_jax.generate.inputs import as_ids, as_lengths, at_least, check_token
from d2l_jax.models.encoder_decoder import EncoderDecoder

Search = Callable[[Tree, Tree, Int[Array, "batch sources"], Int[Array, " batch"]], Any]


class Stepwise(NamedTuple):
    """The two functions of a search, in evaluation mode; `sown` holds the attention weights that the modules have sown.

    start: (params, buffers, src (batch, sources), valid_lens (batch,)) -> (state, sown)
    step:  (params, buffers, tokens (batch,), state) -> ((log-probabilities (batch, vocab), state), sown)
    """

    start: Callable[..., tuple[Any, Tree]]
    step: Callable[..., tuple[tuple[Array, Any], Tree]]


def stepwise(model: EncoderDecoder, steps: int) -> Stepwise:
    """Returns the functions of a search of up to `steps` steps of the decoder.

    Raises: InputError for less than 1 step.
    """
    at_least("steps", steps, 1)
    view = eval_view(model)
    return Stepwise(intermediates(view, _starting(steps)).apply, intermediates(view, _log_probabilities).apply)


def _starting(steps: int) -> Callable[..., Any]:
    def start(model: EncoderDecoder, src: Int[Array, "batch sources"], valid_lens: Int[Array, " batch"]) -> Any:
        return model.decoder.init_state(model.encoder(src, valid_lens), valid_lens, cache_len=steps)

    return start


def _log_probabilities(
    model: EncoderDecoder, tokens: Int[Array, " batch"], state: Any
) -> tuple[Float[Array, "batch vocab"], Any]:
    logits, state = model.decoder(tokens[:, None], state)
    return log_softmax(logits[:, 0]), state


def vocabulary(model: EncoderDecoder, **tokens: int) -> int:
    """The size of the target vocabulary.

    Raises: InputError if any of `tokens` is beyond it.
    """
    size = model.decoder.embedding.num_embeddings
    for name, token in tokens.items():
        check_token(name, token, size)
    return size


def of_sources(model: EncoderDecoder, search: Search) -> Search:
    """Returns `search` jitted, behind a check of the sources and valid lengths."""
    size = model.encoder.embedding.num_embeddings
    jitted = jit(search)

    def checked(params: Tree, buffers: Tree, src: Any, valid_lens: Any) -> Any:
        src = as_ids("the source", src, size)
        return jitted(params, buffers, src, as_lengths(valid_lens, src))

    return checked
