"""The Transformer: an encoder and a decoder of attention alone (Vaswani et al. 2017; book, section 11.7)."""

import math
from typing import NamedTuple

from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.errors import InputError
from d2l_jax.models.attention import ValidLens
from d2l_jax.models.encoder_decoder import EncoderDecoder, Ids
from d2l_jax.models.positional_encoding import PositionalEncoding
from d2l_jax.models.transformer_blocks import (
    Cache,
    Past,
    Sources,
    TransformerDecoderBlock,
    TransformerEncoderBlock,
    steps_in,
)


class DecoderState(NamedTuple):
    """The encoder's outputs, their valid lengths, and the past of each block, from which a decoder continues."""

    enc_outputs: Sources
    enc_valid_lens: ValidLens
    past: tuple[Past, ...]


class TransformerEncoder(nnx.Module):
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
        *,
        rngs: nnx.Rngs,
    ):
        sizes = (num_hiddens, ffn_num_hiddens, num_heads, dropout, use_bias)
        blks = {f"block{i}": TransformerEncoderBlock(*sizes, rngs=rngs) for i in range(num_blks)}
        self.num_hiddens = num_hiddens
        self.embedding: nnx.Embed = nn.Embedding(vocab_size, num_hiddens, rngs=rngs)
        self.pos_encoding = PositionalEncoding(num_hiddens, dropout, rngs=rngs)
        self.blks = nn.Sequential(**blks)

    def __call__(self, X: Ids, enc_valid_lens: ValidLens = None) -> Float[Array, "batch steps hiddens"]:
        Y = self.pos_encoding(self.embedding(X) * math.sqrt(self.num_hiddens))
        for blk in self.blks:
            Y = blk(Y, enc_valid_lens)
        return Y


class TransformerDecoder(nnx.Module):
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
        *,
        rngs: nnx.Rngs,
    ):
        sizes = (num_hiddens, ffn_num_hiddens, num_heads, dropout, corrected)
        blks = {f"block{i}": TransformerDecoderBlock(*sizes, rngs=rngs) for i in range(num_blks)}
        self.num_hiddens = num_hiddens
        self.corrected = corrected
        self.embedding: nnx.Embed = nn.Embedding(vocab_size, num_hiddens, rngs=rngs)
        self.pos_encoding = PositionalEncoding(num_hiddens, dropout, rngs=rngs)
        self.blks = nn.Sequential(**blks)
        self.dense = nn.Linear(num_hiddens, vocab_size, rngs=rngs)

    def init_state(self, enc_outputs: Sources, enc_valid_lens: ValidLens, cache_len: int | None = None) -> DecoderState:
        """The first state: of fixed shapes for `cache_len` steps, or, for None, one that grows as in the book.

        Raises InputError for a `cache_len` below 1 or beyond the positions there are.
        """
        if cache_len is None:
            return DecoderState(enc_outputs, enc_valid_lens, (None,) * len(self.blks))
        longest = self.pos_encoding.max_len
        if not 1 <= cache_len <= longest:
            raise InputError(f"a cache of {cache_len} steps; 1 to {longest}, as many as there are positions, is right")
        return DecoderState(enc_outputs, enc_valid_lens, (Cache.empty(enc_outputs, cache_len),) * len(self.blks))

    def __call__(self, X: Ids, state: DecoderState) -> tuple[Float[Array, "batch steps vocab"], DecoderState]:
        offset = steps_in(state.past[0]) if self.corrected else 0
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
    *,
    rngs: nnx.Rngs,
) -> EncoderDecoder:
    """A Transformer: encoder and decoder of equal sizes (book, section 11.7)."""
    sizes = (num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout)
    encoder = TransformerEncoder(src_vocab, *sizes, rngs=rngs)
    return EncoderDecoder(encoder, TransformerDecoder(tgt_vocab, *sizes, corrected, rngs=rngs))
