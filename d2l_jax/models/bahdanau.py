"""Sequence to sequence with attention (Bahdanau et al. 2014; book, section 11.4)."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.models.attention import AdditiveAttention
from d2l_jax.models.encoder_decoder import EncoderDecoder, Ids, Lengths
from d2l_jax.models.seq2seq import LayerStates, Seq2SeqEncoder, Sources, init_seq2seq

DecoderState = tuple[Float[Array, "batch sources hiddens"], LayerStates, Lengths]


class Seq2SeqAttentionDecoder(nnx.Module):
    """A GRU decoder that attends to the encoder's outputs at every step (book, section 11.4).

    Every step reads [context, embedding]. The query of the context is the last layer's state; of a source, only the
    valid length counts, and where that is below 1 every step weighs the same. The decoder state is (encoder's
    outputs, states of the layers, valid lengths).
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        num_hiddens: int,
        num_layers: int,
        dropout: float = 0.0,
        *,
        rngs: nnx.Rngs,
    ):
        self.attention = AdditiveAttention(num_hiddens, dropout, rngs=rngs)
        self.embedding = nn.Embedding(vocab_size, embed_size, rngs=rngs)
        self.rnn = nn.GRU(embed_size + num_hiddens, num_hiddens, num_layers, dropout=dropout, rngs=rngs)
        self.dense = nn.Linear(num_hiddens, vocab_size, rngs=rngs)
        init_seq2seq(self, rngs=rngs)

    def init_state(
        self, enc_outputs: tuple[Sources, LayerStates], enc_valid_lens: Lengths, cache_len: int | None = None
    ) -> DecoderState:
        outputs, hidden_state = enc_outputs
        return outputs.swapaxes(0, 1), hidden_state, enc_valid_lens

    def __call__(self, X: Ids, state: DecoderState) -> tuple[Float[Array, "batch steps vocab"], DecoderState]:
        enc_outputs, hidden_state, enc_valid_lens = state
        outputs = []
        # A loop and no scan: dropout draws as in PyTorch's, step by step, and every step sows its attention weights.
        for x in self.embedding(X.T):
            query = hidden_state[-1][:, None]
            context = self.attention(query, enc_outputs, enc_outputs, enc_valid_lens)
            x = jnp.concatenate([context.swapaxes(0, 1), x[None]], -1)
            out, hidden_state = self.rnn(x, hidden_state)
            outputs.append(out)
        logits = self.dense(jnp.concatenate(outputs)).swapaxes(0, 1)
        return logits, (enc_outputs, hidden_state, enc_valid_lens)


def seq2seq_attention(
    src_vocab: int = 194,
    tgt_vocab: int = 214,
    embed_size: int = 256,
    num_hiddens: int = 256,
    num_layers: int = 2,
    dropout: float = 0.2,
    corrected: bool = False,
    *,
    rngs: nnx.Rngs,
) -> EncoderDecoder:
    """A GRU encoder, `corrected` or not, and an attention decoder of equal sizes (book, section 11.4)."""
    sizes = (embed_size, num_hiddens, num_layers, dropout)
    encoder = Seq2SeqEncoder(src_vocab, *sizes, corrected, rngs=rngs)
    return EncoderDecoder(encoder, Seq2SeqAttentionDecoder(tgt_vocab, *sizes, rngs=rngs))
