"""The encoder-decoder interface (book, section 10.6)."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

Ids = Int[Tensor, "batch steps"]
Lengths = Int[Tensor, " batch"]


class EncoderDecoder(nn.Module):
    """An encoder and a decoder: scores of the next target token at every step of the target (book, section 10.6).

    encoder(X, enc_valid_lens) -> outputs; decoder.init_state(outputs, enc_valid_lens) -> state;
    decoder(X, state) -> (scores, state).
    """

    def __init__(self, encoder: nn.Module, decoder: Any):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(
        self, enc_X: Int[Tensor, "batch sources"], dec_X: Ids, enc_valid_lens: Lengths
    ) -> Float[Tensor, "batch steps vocab"]:
        enc_outputs = self.encoder(enc_X, enc_valid_lens)
        return self.decoder(dec_X, self.decoder.init_state(enc_outputs, enc_valid_lens))[0]
