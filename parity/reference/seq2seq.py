"""Sequence to sequence with gated recurrent units (Sutskever et al. 2014; Cho et al. 2014; book, section 10.7)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from parity.reference.encoder_decoder import EncoderDecoder, Ids, Lengths
from parity.reference.gru import GRU

Sources = Float[Tensor, "sources batch hiddens"]
LayerStates = Float[Tensor, "layers batch hiddens"]
DecoderState = tuple[Float[Tensor, "contexts batch hiddens"], LayerStates]


def init_seq2seq(model: nn.Module) -> None:
    """Draws Xavier-uniform matrices in every GRU (book, section 10.7); biases and all other layers stay."""
    for layer in model.modules():
        if isinstance(layer, nn.GRU):
            for name, weight in layer.named_parameters():
                if name.startswith("weight"):
                    nn.init.xavier_uniform_(weight)


class Seq2SeqEncoder(nn.Module):
    """A GRU encoder: the last layer's outputs, and the last state of every layer (book, section 10.7).

    Shapes: (batch, sources) integers -> (sources, batch, num_hiddens), (num_layers, batch, num_hiddens). In the book
    the padding is read as if it belonged to the sentence. `corrected` ends every sentence at its valid length: outputs
    after it are 0, the states are those of its last token.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        num_hiddens: int,
        num_layers: int,
        dropout: float = 0.0,
        corrected: bool = False,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = GRU(embed_size, num_hiddens, num_layers, dropout)
        self.corrected = corrected
        init_seq2seq(self)

    def forward(
        self, X: Int[Tensor, "batch sources"], enc_valid_lens: Lengths | None = None
    ) -> tuple[Sources, LayerStates]:
        embs = self.embedding(X.T)
        if not self.corrected or enc_valid_lens is None:
            return self.rnn(embs)
        packed = pack_padded_sequence(embs, enc_valid_lens.cpu(), enforce_sorted=False)
        outputs, hidden_state = self.rnn.rnn(packed)
        return pad_packed_sequence(outputs, total_length=len(embs))[0], hidden_state


class Seq2SeqDecoder(nn.Module):
    """A GRU decoder, which starts from the encoder's last states (book, section 10.7).

    Every step reads [embedding, context]. The state is (encoder's outputs, states of the layers). The context is the
    last of these outputs: in the book that of a padding if the sentence is short, with `corrected` that of the
    sentence's last token.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        num_hiddens: int,
        num_layers: int,
        dropout: float = 0.0,
        corrected: bool = False,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = GRU(embed_size + num_hiddens, num_hiddens, num_layers, dropout)
        self.dense = nn.Linear(num_hiddens, vocab_size)
        self.corrected = corrected
        init_seq2seq(self)

    def init_state(
        self, enc_outputs: tuple[Sources, LayerStates], enc_valid_lens: Lengths | None = None
    ) -> DecoderState:
        outputs, hidden_state = enc_outputs
        return (hidden_state[-1:] if self.corrected else outputs), hidden_state

    def forward(self, X: Ids, state: DecoderState) -> tuple[Float[Tensor, "batch steps vocab"], DecoderState]:
        enc_outputs, hidden_state = state
        embs = self.embedding(X.T)
        context = enc_outputs[-1].expand(len(embs), -1, -1)
        outputs, hidden_state = self.rnn(torch.cat([embs, context], -1), hidden_state)
        return self.dense(outputs).swapaxes(0, 1), (enc_outputs, hidden_state)


def seq2seq(
    src_vocab: int = 194,
    tgt_vocab: int = 214,
    embed_size: int = 256,
    num_hiddens: int = 256,
    num_layers: int = 2,
    dropout: float = 0.2,
    corrected: bool = False,
) -> EncoderDecoder:
    """A GRU encoder and a GRU decoder of equal sizes (book, section 10.7)."""
    sizes = (embed_size, num_hiddens, num_layers, dropout, corrected)
    return EncoderDecoder(Seq2SeqEncoder(src_vocab, *sizes), Seq2SeqDecoder(tgt_vocab, *sizes))
