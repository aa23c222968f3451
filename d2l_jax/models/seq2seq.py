"""Sequence to sequence with gated recurrent units (Sutskever et al. 2014; Cho et al. 2014; book, section 10.7)."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import nn
from d2l_jax.init import xavier_uniform
from d2l_jax.models.encoder_decoder import EncoderDecoder, Ids, Lengths
from d2l_jax.models.gru import GRU

Sources = Float[Array, "sources batch hiddens"]
LayerStates = Float[Array, "layers batch hiddens"]
DecoderState = tuple[Float[Array, "contexts batch hiddens"], LayerStates]


def init_seq2seq(model: nnx.Module, *, rngs: nnx.Rngs) -> None:
    """Draws Xavier-uniform matrices in every GRU (book, section 10.7); biases and all other layers stay."""
    for _, layer in nnx.iter_modules(model):
        if isinstance(layer, nn.GRU):
            for name, weight in vars(layer).items():
                if name.startswith("weight"):
                    weight[...] = xavier_uniform()(rngs.params(), weight.shape, weight.dtype)


class Seq2SeqEncoder(nnx.Module):
    """A GRU encoder: the last layer's outputs, and the last state of every layer (book, section 10.7).

    Shapes: (batch, sources) integers -> (sources, batch, num_hiddens), (num_layers, batch, num_hiddens). In the book
    the padding is read as if it belonged to the sentence. `corrected` ends every sentence at its valid length: outputs
    after it are 0, the states are those of its last token; traced lengths are used as in `nn.GRU`.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        num_hiddens: int,
        num_layers: int,
        dropout: float = 0.0,
        corrected: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        self.embedding = nn.Embedding(vocab_size, embed_size, rngs=rngs)
        self.rnn = GRU(embed_size, num_hiddens, num_layers, dropout, rngs=rngs)
        self.corrected = corrected
        init_seq2seq(self, rngs=rngs)

    def __call__(
        self, X: Int[Array, "batch sources"], enc_valid_lens: Lengths | None = None
    ) -> tuple[Sources, LayerStates]:
        embs = self.embedding(X.T)
        return self.rnn.rnn(embs, seq_lengths=enc_valid_lens) if self.corrected else self.rnn(embs)


class Seq2SeqDecoder(nnx.Module):
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
        *,
        rngs: nnx.Rngs,
    ):
        self.embedding = nn.Embedding(vocab_size, embed_size, rngs=rngs)
        self.rnn = GRU(embed_size + num_hiddens, num_hiddens, num_layers, dropout, rngs=rngs)
        self.dense = nn.Linear(num_hiddens, vocab_size, rngs=rngs)
        self.corrected = corrected
        init_seq2seq(self, rngs=rngs)

    def init_state(
        self,
        enc_outputs: tuple[Sources, LayerStates],
        enc_valid_lens: Lengths | None = None,
        cache_len: int | None = None,
    ) -> DecoderState:
        outputs, hidden_state = enc_outputs
        return (hidden_state[-1:] if self.corrected else outputs), hidden_state

    def __call__(self, X: Ids, state: DecoderState) -> tuple[Float[Array, "batch steps vocab"], DecoderState]:
        enc_outputs, hidden_state = state
        embs = self.embedding(X.T)
        context = jnp.broadcast_to(enc_outputs[-1], (len(embs), *enc_outputs[-1].shape))
        outputs, hidden_state = self.rnn(jnp.concatenate([embs, context], -1), hidden_state)
        return self.dense(outputs).swapaxes(0, 1), (enc_outputs, hidden_state)


def seq2seq(
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
    """A GRU encoder and a GRU decoder of equal sizes (book, section 10.7)."""
    sizes = (embed_size, num_hiddens, num_layers, dropout, corrected)
    encoder = Seq2SeqEncoder(src_vocab, *sizes, rngs=rngs)
    return EncoderDecoder(encoder, Seq2SeqDecoder(tgt_vocab, *sizes, rngs=rngs))
