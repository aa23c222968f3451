"""Sequence to sequence with attention (Bahdanau et al. 2014; book, section 11.4)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.attention import AdditiveAttention
from parity.reference.encoder_decoder import EncoderDecoder, Ids, Lengths
from parity.reference.seq2seq import Layers, Seq2SeqEncoder, Sources, init_seq2seq

State = tuple[Float[Tensor, "batch sources hiddens"], Layers, Lengths]


class Seq2SeqAttentionDecoder(nn.Module):
    """A GRU that reads [context, embedding] at every step, the context looked up in the encoder's outputs.

    The query is the last layer's state; of a source, only the valid length counts, and where that is below 1 every step
    weighs the same. The state is (encoder's outputs, states of the layers, valid lengths) (section 11.4).
    `attention_weights` are those of the last call, one (batch, 1, sources) for each step.
    """

    def __init__(self, vocab_size: int, embed_size: int, num_hiddens: int, num_layers: int, dropout: float = 0.0):
        super().__init__()
        self.attention = AdditiveAttention(num_hiddens, dropout)
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = nn.GRU(embed_size + num_hiddens, num_hiddens, num_layers, dropout=dropout)
        self.dense = nn.Linear(num_hiddens, vocab_size)
        init_seq2seq(self)

    def init_state(self, enc_outputs: tuple[Sources, Layers], enc_valid_lens: Lengths) -> State:
        outputs, hidden_state = enc_outputs
        return outputs.swapaxes(0, 1), hidden_state, enc_valid_lens

    def forward(self, X: Ids, state: State) -> tuple[Float[Tensor, "batch steps vocab"], State]:
        enc_outputs, hidden_state, enc_valid_lens = state
        outputs, self.attention_weights = [], []
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
    """The encoder of `seq2seq`, which `corrected` goes to, and a decoder of equal sizes."""
    sizes = (embed_size, num_hiddens, num_layers, dropout)
    return EncoderDecoder(Seq2SeqEncoder(src_vocab, *sizes, corrected), Seq2SeqAttentionDecoder(tgt_vocab, *sizes))
