"""The encoder-decoder interface (book, section 10.6)."""

from typing import Any, Protocol, runtime_checkable

from flax import nnx
from jaxtyping import Array, Float, Int

Ids = Int[Array, "batch steps"]
Lengths = Int[Array, " batch"]


@runtime_checkable
class Encoder(Protocol):
    """Reads a whole source; what it returns is for its own kind of decoder alone."""

    @property
    def embedding(self) -> nnx.Embed: ...

    def __call__(self, X: Ids, enc_valid_lens: Lengths) -> Any: ...


@runtime_checkable
class Decoder(Protocol):
    """Predicts the next token at every step that it is given.

    A state is a pytree of arrays whose shapes stay the same from step to step. Without a `cache_len` a call may start
    from the first state only; with it, further calls continue, for up to `cache_len` steps in all.
    """

    @property
    def embedding(self) -> nnx.Embed: ...

    def init_state(self, enc_outputs: Any, enc_valid_lens: Lengths, cache_len: int | None = None) -> Any: ...

    def __call__(self, X: Ids, state: Any) -> tuple[Float[Array, "batch steps vocab"], Any]: ...


class EncoderDecoder(nnx.Module):
    """Scores of every next target token, given the source and the target so far (book, section 10.6).

    Shapes: enc_X (batch, source steps) and dec_X (batch, steps) integers, enc_valid_lens (batch,) integers from 1 to
    the number of source steps -> (batch, steps, vocab). Neither ids nor lengths are checked here, as they are traced:
    an id beyond the vocabulary gives NaN, a length is used as its module says.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder):
        self.encoder = encoder
        self.decoder = decoder

    def __call__(
        self, enc_X: Int[Array, "batch sources"], dec_X: Ids, enc_valid_lens: Lengths
    ) -> Float[Array, "batch steps vocab"]:
        enc_outputs = self.encoder(enc_X, enc_valid_lens)
        return self.decoder(dec_X, self.decoder.init_state(enc_outputs, enc_valid_lens))[0]
