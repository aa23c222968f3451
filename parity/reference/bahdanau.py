"""Sequence to sequence with attention (Bahdanau et al. 2014; book, section 11.4)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.attention import AdditiveAttention
from parity.reference.encoder_decoder import EncoderDecoder, Ids, Lengths
from parity.reference.seq2seq import LayerStates, Seq2SeqEncoder, Sources, init_seq2seq

DecoderState = tuple[Float[Tensor, "batch sources hiddens"], LayerStates, Lengths]


class Seq2SeqAttentionDecoder(nn.Module):
    """A GRU decoder that attends to the encoder's outputs at every step (book, section 11.4).

    Every step reads [context, embedding]. The query of the context is the last layer's state; of a source, only the
    valid length counts, and where that is below 1 every step weighs the same. The decoder state is (encoder's
    outputs, states of the layers, valid lengths).
    `attention_weights` are those of the last call, one (batch, 1, sources) for each step.
    """

    def __init__(self, vocab_size: int, embed_size: int, num_hiddens: int, num_layers: int, dropout: float = 0.0):
        super().__init__()
        self.attention = AdditiveAttention(num_hiddens, dropout)
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = nn.GRU(embed_size + num_hiddens, num_hiddens, num_layers, dropout=dropout)
        self.dense = nn.Linear(num_hiddens, vocab_size)
        init_seq2seq(self)

    def init_state(self, enc_outputs: tuple[Sources, LayerStates], enc_valid_lens: Lengths) -> DecoderState:
        outputs, hidden_state = enc_outputs
        return outputs.swapaxes(0, 1), hidden_state, enc_valid_lens

    def forward(self, X: Ids, state: DecoderState) -> tuple[Float[Tensor, "batch steps vocab"], DecoderState]:
        enc_outputs, hidden_state, enc_valid_lens = state
        outputs = []
        self.attention_weights = []
        for x in self.embedding(X.T):
            query = hidden_state[-1][:, None]
            context = self.attention(query, enc_outputs, enc_outputs, enc_valid_lens)
            self.attention_weights.append(self.attention.attention_weights)
            x = torch.cat([context.swapaxes(0, 1), x[None]], -1)
            out, hidden_state = self.rnn(x, hidden_state)
            outputs.append(out)
        logits = self.dense(torch.cat(outputs)).swapaxes(0, 1)
        return logits, (enc_outputs, hidden_state, enc_valid_lens)


def seq2seq_attention(
    src_vocab: int = 194,
    tgt_vocab: int = 214,
    embed_size: int = 256,
    num_hiddens: int = 256,
    num_layers: int = 2,
    dropout: float = 0.2,
    corrected: bool = False,
) -> EncoderDecoder:
    """A GRU encoder, `corrected` or not, and an attention decoder of equal sizes (book, section 11.4)."""
    sizes = (embed_size, num_hiddens, num_layers, dropout)
    return EncoderDecoder(Seq2SeqEncoder(src_vocab, *sizes, corrected), Seq2SeqAttentionDecoder(tgt_vocab, *sizes))
