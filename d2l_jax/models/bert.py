"""BERT: an encoder of sentences, pretrained on masked words and on pairs (Devlin et al. 2018; book, section 15.8).

The four options of the encoder are those in which published weights differ from the book's model.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import nn
from d2l_jax.errors import InputError
from d2l_jax.models.attention import ValidLens
from d2l_jax.models.transformer_blocks import Sequences, TransformerEncoderBlock

Ids = Int[Array, "batch steps"]
Positions = Int[Array, "batch predictions"]
Scores = Float[Array, "batch predictions vocab"]


class BERTEncoder(nnx.Module):
    """The encoder of BERT: embeddings of tokens, segments and positions, then Transformer blocks (section 15.8).

    max_len:        positions there are; each has a learned embedding from N(0, 1)
    embedding_norm: layer normalisation and dropout behind the sum of the embeddings, which the book leaves out
    activation:     of the position-wise networks, "relu" or "gelu"
    eps:            what every layer normalisation adds to the variance
    num_segments:   rows of the segment embedding

    Shapes: tokens and segments int (batch, steps), valid_lens int (batch,) -> (batch, steps, num_hiddens).
    Raises InputError for more steps than positions.
    """

    def __init__(
        self,
        vocab_size: int,
        num_hiddens: int,
        ffn_num_hiddens: int,
        num_heads: int,
        num_blks: int,
        dropout: float,
        max_len: int = 1000,
        embedding_norm: bool = False,
        activation: str = "relu",
        eps: float = 1e-5,
        num_segments: int = 2,
        *,
        rngs: nnx.Rngs,
    ):
        positions = jax.random.normal(rngs.params(), (1, max_len, num_hiddens), jnp.float32)
        self.pos_embedding = nnx.Param(positions)
        self.token_embedding: nnx.Embed = nn.Embedding(vocab_size, num_hiddens, rngs=rngs)
        self.segment_embedding: nnx.Embed = nn.Embedding(num_segments, num_hiddens, rngs=rngs)
        self.ln = nn.LayerNorm(num_hiddens, eps) if embedding_norm else None
        self.dropout = nnx.Dropout(dropout, rngs=rngs) if embedding_norm else None
        sizes = (num_hiddens, ffn_num_hiddens, num_heads, dropout, True, activation, eps)
        self.blks = nn.Sequential(*(TransformerEncoderBlock(*sizes, rngs=rngs) for _ in range(num_blks)))

    def __call__(self, tokens: Ids, segments: Ids, valid_lens: ValidLens = None) -> Sequences:
        steps = tokens.shape[1]
        longest = self.pos_embedding.shape[1]
        if steps > longest:
            raise InputError(f"a text of {steps} tokens for {longest} positions; {longest} tokens or fewer are right")
        X = self.token_embedding(tokens) + self.segment_embedding(segments) + self.pos_embedding[:, :steps]
        if self.ln is not None and self.dropout is not None:
            X = self.dropout(self.ln(X))
        for blk in self.blks:
            X = blk(X, valid_lens)
        return X


class MaskLM(nnx.Module):
    """Scores of the vocabulary at the positions of masked words (book, section 15.8).

    Shapes: (batch, steps, num_inputs), positions int (batch, predictions) -> (batch, predictions, vocab_size).
    """

    def __init__(self, vocab_size: int, num_hiddens: int, num_inputs: int | None = None, *, rngs: nnx.Rngs):
        self.mlp = nn.Sequential(
            nn.Linear(num_inputs or num_hiddens, num_hiddens, rngs=rngs),
            nnx.relu,
            nn.LayerNorm(num_hiddens),
            nn.Linear(num_hiddens, vocab_size, rngs=rngs),
        )

    def __call__(self, X: Sequences, pred_positions: Positions) -> Scores:
        return self.mlp(jnp.take_along_axis(X, pred_positions[..., None], axis=1))


class NextSentencePred(nnx.Module):
    """Scores of "another sentence" and "the next sentence" (book, section 15.8): (batch, num_inputs) -> (batch, 2)."""

    def __init__(self, num_inputs: int, *, rngs: nnx.Rngs):
        self.output = nn.Linear(num_inputs, 2, rngs=rngs)

    def __call__(self, X: Float[Array, "batch inputs"]) -> Float[Array, "batch 2"]:
        return self.output(X)


class BERTModel(nnx.Module):
    """BERT as it is pretrained: the encoder, the masked words and the next sentence (book, section 15.8).

    The next sentence is told from a hidden layer over the output of the first token, `<cls>`.
    Arguments, options and errors are those of `BERTEncoder`.
    """

    def __init__(
        self,
        vocab_size: int,
        num_hiddens: int,
        ffn_num_hiddens: int,
        num_heads: int,
        num_blks: int,
        dropout: float,
        max_len: int = 1000,
        *,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        sizes = (vocab_size, num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout, max_len)
        self.encoder = BERTEncoder(*sizes, rngs=rngs, **options)
        self.hidden = nn.Sequential(nn.Linear(num_hiddens, num_hiddens, rngs=rngs), jnp.tanh)
        self.mlm = MaskLM(vocab_size, num_hiddens, rngs=rngs)
        self.nsp = NextSentencePred(num_hiddens, rngs=rngs)

    def __call__(
        self, tokens: Ids, segments: Ids, valid_lens: ValidLens = None, pred_positions: Positions | None = None
    ) -> tuple[Sequences, Scores | None, Float[Array, "batch 2"]]:
        encoded = self.encoder(tokens, segments, valid_lens)
        mlm_Y_hat = None if pred_positions is None else self.mlm(encoded, pred_positions)
        return encoded, mlm_Y_hat, self.nsp(self.hidden(encoded[:, 0]))


class BERTClassifier(nnx.Module):
    """A classifier of texts or pairs on the encoder and the hidden layer of a pretrained BERT (book, section 16.7).

    Shapes: tokens and segments int (batch, steps), valid_lens int (batch,) -> (batch, num_classes).
    """

    def __init__(self, bert: BERTModel, num_classes: int = 3, *, rngs: nnx.Rngs):
        self.encoder = bert.encoder
        self.hidden = bert.hidden
        num_hiddens = bert.encoder.pos_embedding.shape[-1]
        self.output = nn.Linear(num_hiddens, num_classes, rngs=rngs)

    def __call__(self, tokens: Ids, segments: Ids, valid_lens: ValidLens = None) -> Float[Array, "batch classes"]:
        return self.output(self.hidden(self.encoder(tokens, segments, valid_lens)[:, 0]))


def bert_classifier(
    vocab_size: int = 60005,
    num_hiddens: int = 256,
    ffn_num_hiddens: int = 512,
    num_heads: int = 4,
    num_blks: int = 2,
    dropout: float = 0.2,
    max_len: int = 512,
    num_classes: int = 3,
    *,
    rngs: nnx.Rngs,
    **options: Any,
) -> BERTClassifier:
    """A `BERTClassifier` of the sizes of the book's `bert.small`, freshly drawn (book, section 16.7)."""
    sizes = (vocab_size, num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout, max_len)
    return BERTClassifier(BERTModel(*sizes, rngs=rngs, **options), num_classes, rngs=rngs)


def sentence_embeddings(encoded: Sequences, valid_lens: Int[Array, " batch"]) -> Float[Array, "batch hiddens"]:
    """Returns the mean over the valid steps of each text, scaled to length 1 (Reimers and Gurevych 2019).

    The product of two of them is the cosine of the angle between the texts.
    """
    counts = (jnp.arange(encoded.shape[1])[None] < valid_lens[:, None]).astype(encoded.dtype)
    means = jnp.einsum("bsh,bs->bh", encoded, counts) / jnp.maximum(counts.sum(1, keepdims=True), 1e-9)
    return means / jnp.maximum(jnp.linalg.norm(means, axis=1, keepdims=True), 1e-12)
