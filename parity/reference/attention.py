"""Attention by scoring functions, and with several heads (book, sections 11.3 and 11.5)."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Scores = Float[Tensor, "batch queries keys"]
Queries = Float[Tensor, "batch queries query_size"]
Keys = Float[Tensor, "batch keys key_size"]
Values = Float[Tensor, "batch keys value_size"]
ValidLens = Int[Tensor, "batch *queries"] | None


def masked_softmax(X: Scores, valid_lens: ValidLens = None, corrected: bool = False) -> Scores:
    """Softmax over the first `valid_lens` keys of each example, or of each query (book, section 11.3).

    The scores of the other keys become -1e6, not minus infinity: where the valid length is 0, all weights are equal.
    With `corrected` the weights of other keys are 0, there as well.
    """
    if valid_lens is None:
        return X.softmax(dim=-1)
    ends = valid_lens.reshape(len(X), -1, 1)
    other = torch.arange(X.shape[-1], device=X.device) >= ends
    weights = X.masked_fill(other, -1e6).softmax(dim=-1)
    return weights.masked_fill(other, 0) if corrected else weights


class DotProductAttention(nn.Module):
    """Attention whose scores are scaled dot products of queries and keys (Vaswani et al. 2017; book, section 11.3)."""

    def __init__(self, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, queries: Queries, keys: Keys, values: Values, valid_lens: ValidLens = None
    ) -> Float[Tensor, "batch queries value_size"]:
        scores = torch.bmm(queries, keys.transpose(1, 2)) / math.sqrt(queries.shape[-1])
        weights = masked_softmax(scores, valid_lens)
        self.attention_weights = weights.detach()
        return torch.bmm(self.dropout(weights), values)


class AdditiveAttention(nn.Module):
    """Attention whose scores come from a hidden layer over query and key (Bahdanau et al. 2014; book, section 11.3).

    `query_size` and `key_size` default to `num_hiddens`.
    """

    def __init__(self, num_hiddens: int, dropout: float, query_size: int | None = None, key_size: int | None = None):
        super().__init__()
        self.W_k = nn.Linear(key_size or num_hiddens, num_hiddens, bias=False)
        self.W_q = nn.Linear(query_size or num_hiddens, num_hiddens, bias=False)
        self.w_v = nn.Linear(num_hiddens, 1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, queries: Queries, keys: Keys, values: Values, valid_lens: ValidLens = None
    ) -> Float[Tensor, "batch queries value_size"]:
        features = torch.tanh(self.W_q(queries)[:, :, None] + self.W_k(keys)[:, None])
        weights = masked_softmax(self.w_v(features).squeeze(-1), valid_lens)
        self.attention_weights = weights.detach()
        return torch.bmm(self.dropout(weights), values)


class MultiHeadAttention(nn.Module):
    """Dot-product attention in `num_heads` subspaces at once (Vaswani et al. 2017; book, section 11.5).

    The heads are folded into the batch, head fastest. `query_size`, `key_size` and `value_size` default to
    `num_hiddens`.
    """

    def __init__(
        self,
        num_hiddens: int,
        num_heads: int,
        dropout: float,
        bias: bool = False,
        query_size: int | None = None,
        key_size: int | None = None,
        value_size: int | None = None,
    ):
        super().__init__()
        self.num_heads = num_heads
        self.attention = DotProductAttention(dropout)
        self.W_q = nn.Linear(query_size or num_hiddens, num_hiddens, bias)
        self.W_k = nn.Linear(key_size or num_hiddens, num_hiddens, bias)
        self.W_v = nn.Linear(value_size or num_hiddens, num_hiddens, bias)
        self.W_o = nn.Linear(num_hiddens, num_hiddens, bias)

    def forward(
        self, queries: Queries, keys: Keys, values: Values, valid_lens: ValidLens = None
    ) -> Float[Tensor, "batch queries hiddens"]:
        if valid_lens is not None:
            valid_lens = valid_lens.repeat_interleave(self.num_heads, dim=0)
        Q, K, V = (self._split(X) for X in (self.W_q(queries), self.W_k(keys), self.W_v(values)))
        return self.W_o(self._merge(self.attention(Q, K, V, valid_lens)))

    def _split(self, X: Float[Tensor, "batch steps hiddens"]) -> Float[Tensor, "batch_and_heads steps head_size"]:
        batch, steps, _ = X.shape
        X = X.reshape(batch, steps, self.num_heads, -1).transpose(1, 2)
        return X.reshape(batch * self.num_heads, steps, -1)

    def _merge(self, X: Float[Tensor, "batch_and_heads steps head_size"]) -> Float[Tensor, "batch steps hiddens"]:
        _, steps, head_size = X.shape
        X = X.reshape(-1, self.num_heads, steps, head_size).transpose(1, 2)
        return X.reshape(len(X), steps, -1)
