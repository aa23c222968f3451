"""The Transformer: an encoder and a decoder of attention alone (Vaswani et al. 2017; book, section 11.7)."""

import math
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.attention import ValidLens
from parity.reference.encoder_decoder import EncoderDecoder, Ids
from parity.reference.positional_encoding import PositionalEncoding
from parity.reference.transformer_blocks import Past, Sources, TransformerDecoderBlock, TransformerEncoderBlock


class DecoderState(NamedTuple):
    """The encoder's outputs, their valid lengths, and the past of each block, from which a decoder continues."""

    enc_outputs: Sources
    enc_valid_lens: ValidLens
    past: tuple[Past, ...]


class TransformerEncoder(nn.Module):
    """The Transformer's encoder: scaled embedding, positional encoding, blocks (book, section 11.7).

    Embeddings are multiplied by sqrt(num_hiddens).
    """

    def __init__(
        self,
        vocab_size: int,
        num_hiddens: int,
        ffn_num_hiddens: int,
        num_heads: int,
        num_blks: int,
        dropout: float,
        use_bias: bool = False,
    ):
        super().__init__()
        sizes = (num_hiddens, ffn_num_hiddens, num_heads, dropout, use_bias)
        self.num_hiddens = num_hiddens
        self.embedding = nn.Embedding(vocab_size, num_hiddens)
        self.pos_encoding = PositionalEncoding(num_hiddens, dropout)
        self.blks = nn.Sequential()
        for i in range(num_blks):
            self.blks.add_module(f"block{i}", TransformerEncoderBlock(*sizes))

    def forward(self, X: Ids, enc_valid_lens: ValidLens = None) -> Float[Tensor, "batch steps hiddens"]:
        Y = self.pos_encoding(self.embedding(X) * math.sqrt(self.num_hiddens))
        for blk in self.blks:
            Y = blk(Y, enc_valid_lens)
        return Y


class TransformerDecoder(nn.Module):
    """The Transformer's decoder: its blocks attend to the target so far and to the source (book, section 11.7).

    In the book every call starts at position 0, so that all steps that are decoded one by one have its encoding;
    `corrected` continues counting, and never lets a step attend to a later one.
    """

    def __init__(
        self,
        vocab_size: int,
        num_hiddens: int,
        ffn_num_hiddens: int,
        num_heads: int,
        num_blks: int,
        dropout: float,
        corrected: bool = False,
    ):
        super().__init__()
        sizes = (num_hiddens, ffn_num_hiddens, num_heads, dropout, corrected)
        self.num_hiddens = num_hiddens
        self.corrected = corrected
        self.embedding = nn.Embedding(vocab_size, num_hiddens)
        self.pos_encoding = PositionalEncoding(num_hiddens, dropout)
        self.blks = nn.Sequential()
        for i in range(num_blks):
            self.blks.add_module(f"block{i}", TransformerDecoderBlock(*sizes))
        self.dense = nn.Linear(num_hiddens, vocab_size)

    def init_state(self, enc_outputs: Sources, enc_valid_lens: ValidLens) -> DecoderState:
        return DecoderState(enc_outputs, enc_valid_lens, (None,) * len(self.blks))

    def forward(self, X: Ids, state: DecoderState) -> tuple[Float[Tensor, "batch steps vocab"], DecoderState]:
        past_inputs = state.past[0]
        offset = past_inputs.shape[1] if self.corrected and past_inputs is not None else 0
        Y = self.pos_encoding(self.embedding(X) * math.sqrt(self.num_hiddens), offset)
        after = []
        for blk, past in zip(self.blks, state.past, strict=True):
            Y, past = blk(Y, state.enc_outputs, state.enc_valid_lens, past)
            after.append(past)
        return self.dense(Y), state._replace(past=tuple(after))


def transformer(
    src_vocab: int = 194,
    tgt_vocab: int = 214,
    num_hiddens: int = 256,
    ffn_num_hiddens: int = 64,
    num_heads: int = 4,
    num_blks: int = 2,
    dropout: float = 0.2,
    corrected: bool = False,
) -> EncoderDecoder:
    """A Transformer: encoder and decoder of equal sizes (book, section 11.7)."""
    sizes = (num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout)
    return EncoderDecoder(TransformerEncoder(src_vocab, *sizes), TransformerDecoder(tgt_vocab, *sizes, corrected))
