"""The encoder-decoder interface (book, section 10.6)."""

from typing import Any, Protocol, runtime_checkable

from flax import nnx
from jaxtyping import Array, Float, Int

Ids = Int[Array, "batch steps"]
Lengths = Int[Array, " batch"]


@runtime_checkable
class Encoder(Protocol):
    """An encoder reads a whole source and returns what its kind of decoder starts from (book, section 10.6)."""

    @property
    def embedding(self) -> nnx.Embed: ...

    def __call__(self, X: Ids, enc_valid_lens: Lengths) -> Any: ...


@runtime_checkable
class Decoder(Protocol):
    """A decoder predicts the token after every step of its input (book, section 10.6).

    Its state is a pytree of arrays whose shapes stay the same from step to step. Without a `cache_len` a call may start
    from the first state only; with one, further calls continue, for up to `cache_len` steps in all.
    """

    @property
    def embedding(self) -> nnx.Embed: ...

    def init_state(self, enc_outputs: Any, enc_valid_lens: Lengths, cache_len: int | None = None) -> Any: ...

    def __call__(self, X: Ids, state: Any) -> tuple[Float[Array, "batch steps vocab"], Any]: ...


class EncoderDecoder(nnx.Module):
    """An encoder and a decoder: scores of the next target token at every step of the target (book, section 10.6).

    Shapes: enc_X (batch, source steps) and dec_X (batch, steps) integers, enc_valid_lens (batch,) integers from 1 to
    the number of source steps -> (batch, steps, vocab). Ids and lengths are traced, so nothing checks them: an id
    beyond the vocabulary gives NaN, and the modules say how they use a length beyond the steps.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder):
        self.encoder = encoder
        self.decoder = decoder

    def __call__(
        self, enc_X: Int[Array, "batch sources"], dec_X: Ids, enc_valid_lens: Lengths
    ) -> Float[Array, "batch steps vocab"]:
        enc_outputs = self.encoder(enc_X, enc_valid_lens)
        return self.decoder(dec_X, self.decoder.init_state(enc_outputs, enc_valid_lens))[0]
