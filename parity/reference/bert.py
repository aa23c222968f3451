"""BERT: an encoder of sentences, pretrained on masked words and on pairs (Devlin et al. 2018; book, section 15.8)."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from parity.reference.attention import ValidLens
from parity.reference.transformer_blocks import Sequences, TransformerEncoderBlock

Ids = Int[Tensor, "batch steps"]
Positions = Int[Tensor, "batch predictions"]
Scores = Float[Tensor, "batch predictions vocab"]


class BERTEncoder(nn.Module):
    """The encoder of BERT: embeddings of tokens, segments and positions, then Transformer blocks (section 15.8)."""

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
    ):
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.randn(1, max_len, num_hiddens))
        self.token_embedding = nn.Embedding(vocab_size, num_hiddens)
        self.segment_embedding = nn.Embedding(num_segments, num_hiddens)
        self.ln = nn.LayerNorm(num_hiddens, eps) if embedding_norm else None
        self.dropout = nn.Dropout(dropout) if embedding_norm else None
        sizes = (num_hiddens, ffn_num_hiddens, num_heads, dropout, True, activation, eps)
        self.blks = nn.Sequential(*(TransformerEncoderBlock(*sizes) for _ in range(num_blks)))

    def forward(self, tokens: Ids, segments: Ids, valid_lens: ValidLens = None) -> Sequences:
        X = self.token_embedding(tokens) + self.segment_embedding(segments)
        X = X + self.pos_embedding[:, : X.shape[1]]
        if self.ln is not None and self.dropout is not None:
            X = self.dropout(self.ln(X))
        for blk in self.blks:
            X = blk(X, valid_lens)
        return X


class MaskLM(nn.Module):
    """Scores of the vocabulary at the positions of masked words (book, section 15.8)."""

    def __init__(self, vocab_size: int, num_hiddens: int, num_inputs: int | None = None):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(num_inputs or num_hiddens, num_hiddens),
            nn.ReLU(),
            nn.LayerNorm(num_hiddens),
            nn.Linear(num_hiddens, vocab_size),
        )

    def forward(self, X: Sequences, pred_positions: Positions) -> Scores:
        rows = torch.arange(len(X), device=X.device)[:, None]
        return self.mlp(X[rows, pred_positions])


class NextSentencePred(nn.Module):
    """Scores of "another sentence" and "the next sentence" (book, section 15.8)."""

    def __init__(self, num_inputs: int):
        super().__init__()
        self.output = nn.Linear(num_inputs, 2)

    def forward(self, X: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch 2"]:
        return self.output(X)


class BERTModel(nn.Module):
    """BERT as it is pretrained: the encoder, the masked words and the next sentence (book, section 15.8)."""

    def __init__(
        self,
        vocab_size: int,
        num_hiddens: int,
        ffn_num_hiddens: int,
        num_heads: int,
        num_blks: int,
        dropout: float,
        max_len: int = 1000,
        **options: Any,
    ):
        super().__init__()
        sizes = (vocab_size, num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout, max_len)
        self.encoder = BERTEncoder(*sizes, **options)
        self.hidden = nn.Sequential(nn.Linear(num_hiddens, num_hiddens), nn.Tanh())
        self.mlm = MaskLM(vocab_size, num_hiddens)
        self.nsp = NextSentencePred(num_hiddens)

    def forward(
        self, tokens: Ids, segments: Ids, valid_lens: ValidLens = None, pred_positions: Positions | None = None
    ) -> tuple[Sequences, Scores | None, Float[Tensor, "batch 2"]]:
        encoded = self.encoder(tokens, segments, valid_lens)
        mlm_Y_hat = None if pred_positions is None else self.mlm(encoded, pred_positions)
        return encoded, mlm_Y_hat, self.nsp(self.hidden(encoded[:, 0]))


class BERTClassifier(nn.Module):
    """A classifier of texts or pairs on the encoder and the hidden layer of a pretrained BERT (book, section 16.7)."""

    def __init__(self, bert: BERTModel, num_classes: int = 3):
        super().__init__()
        self.encoder = bert.encoder
        self.hidden = bert.hidden
        self.output = nn.Linear(bert.encoder.pos_embedding.shape[-1], num_classes)

    def forward(self, tokens: Ids, segments: Ids, valid_lens: ValidLens = None) -> Float[Tensor, "batch classes"]:
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
    **options: Any,
) -> BERTClassifier:
    """A `BERTClassifier` of the sizes of the book's `bert.small`, freshly drawn (book, section 16.7)."""
    sizes = (vocab_size, num_hiddens, ffn_num_hiddens, num_heads, num_blks, dropout, max_len)
    return BERTClassifier(BERTModel(*sizes, **options), num_classes)


def sentence_embeddings(encoded: Sequences, valid_lens: Int[Tensor, " batch"]) -> Float[Tensor, "batch hiddens"]:
    """Returns the mean over the valid steps of each text, scaled to length 1 (Reimers and Gurevych 2019)."""
    valid = torch.arange(encoded.shape[1], device=encoded.device) < valid_lens[:, None]
    total = encoded.masked_fill(~valid[..., None], 0).sum(dim=1)
    means = total / valid_lens[:, None].to(encoded.dtype).clamp(min=1e-9)
    return F.normalize(means, dim=1)
