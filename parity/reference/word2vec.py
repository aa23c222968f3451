"""Word vectors from contexts: skip-gram and CBOW (Mikolov et al. 2013), GloVe, and the subwords of fastText."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Vectors = Float[Tensor, "words embed"]


class SkipGram(nn.Sequential):
    """Skip-gram: the vector of a centre word times those of other words (sections 15.1 and 15.4)."""

    def __init__(self, vocab_size: int, embed_size: int, num_nodes: int | None = None):
        rows = vocab_size if num_nodes is None else num_nodes
        super().__init__(_table(vocab_size, embed_size), _table(rows, embed_size))

    def forward(  # type: ignore[override]
        self, center: Int[Tensor, "batch 1"], contexts_and_negatives: Int[Tensor, "batch width"]
    ) -> Float[Tensor, "batch 1 width"]:
        """Returns the products, which are the logits of their labels."""
        v = self[0](center)
        u = self[1](contexts_and_negatives)
        return torch.bmm(v, u.permute(0, 2, 1))

    def word_vectors(self) -> Vectors:
        """Returns the vectors of the words as centres."""
        return self[0].weight  # type: ignore[return-value]


class HierarchicalSkipGram(SkipGram):
    """Skip-gram with hierarchical softmax: "1" holds the inner nodes of a binary tree of the words (section 15.2.2)."""

    def __init__(self, vocab_size: int, embed_size: int):
        super().__init__(vocab_size, embed_size, vocab_size - 1)


class CBOW(nn.Sequential):
    """Continuous bag of words: the mean vector of the contexts times those of centre words (section 15.1.4)."""

    def __init__(self, vocab_size: int, embed_size: int):
        super().__init__(_table(vocab_size, embed_size), _table(vocab_size, embed_size))

    def forward(  # type: ignore[override]
        self,
        contexts: Int[Tensor, "batch contexts"],
        lengths: Int[Tensor, " batch"],
        centers_and_negatives: Int[Tensor, "batch width"],
    ) -> Float[Tensor, "batch 1 width"]:
        """Returns the products, which are the logits of their labels."""
        v = _masked(self[0](contexts), lengths).sum(dim=1) / lengths[:, None]
        u = self[1](centers_and_negatives)
        return torch.bmm(v[:, None], u.permute(0, 2, 1))

    def word_vectors(self) -> Vectors:
        """Returns the vectors of the words as contexts."""
        return self[0].weight  # type: ignore[return-value]


class GloVe(nn.Module):
    """GloVe: the product of two words' vectors and their biases, for the logarithm of a count (section 15.5)."""

    def __init__(self, vocab_size: int, embed_size: int):
        super().__init__()
        self.center = _table(vocab_size, embed_size)
        self.context = _table(vocab_size, embed_size)
        self.center_bias = _table(vocab_size, 1)
        self.context_bias = _table(vocab_size, 1)

    def forward(self, center: Int[Tensor, " pairs"], context: Int[Tensor, " pairs"]) -> Float[Tensor, " pairs"]:
        """Returns u_j . v_i + b_i + c_j for the centre i and the context j of each pair."""
        products = (self.center(center) * self.context(context)).sum(dim=-1)
        return products + self.center_bias(center).squeeze(-1) + self.context_bias(context).squeeze(-1)

    def word_vectors(self) -> Vectors:
        """Returns the sums of the words' vectors as centres and as contexts."""
        return self.center.weight + self.context.weight


class SubwordEmbedding(nn.Module):
    """fastText's vectors of words: the sum of the vectors of a word's subwords (section 15.6.1)."""

    def __init__(self, num_subwords: int, embed_size: int):
        super().__init__()
        self.subwords = nn.Embedding(num_subwords, embed_size)

    def forward(
        self, subwords: Int[Tensor, "words width"], lengths: Int[Tensor, " words"]
    ) -> Float[Tensor, "words embed"]:
        """Returns the sum over the first `lengths` subwords of each word."""
        return _masked(self.subwords(subwords), lengths).sum(dim=1)


def _table(rows: int, embed_size: int) -> nn.Embedding:
    table = nn.Embedding(rows, embed_size)
    nn.init.xavier_uniform_(table.weight)
    return table


def _masked(
    vectors: Float[Tensor, "batch width embed"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch width embed"]:
    counted = torch.arange(vectors.shape[1], device=vectors.device) < lengths[:, None]
    return vectors * counted[..., None]
