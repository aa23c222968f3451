"""Sentiment by convolutions over words (Kim 2014; book, section 16.3)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def corr1d(X: Float[Tensor, " n"], K: Float[Tensor, " k"]) -> Float[Tensor, " m"]:
    """The cross-correlation of a sequence with a kernel, without padding: n - k + 1 numbers (section 16.3)."""
    return X.unfold(0, len(K), 1) @ K


def corr1d_multi_in(X: Float[Tensor, "channels n"], K: Float[Tensor, "channels k"]) -> Float[Tensor, " m"]:
    """The sum over channels of the cross-correlations, each with a kernel of its channel (section 16.3)."""
    return torch.stack([corr1d(x, k) for x, k in zip(X, K, strict=True)]).sum(dim=0)


class TextCNN(nn.Module):
    """Convolutions of several widths over words, each pooled over the whole text, then scored (section 16.3).

    Every word has two vectors: one that is trained, and one in `constant_embedding` that is not. Pooling is the mean
    over time; the maximum with `second_edition`.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        kernel_sizes: Sequence[int],
        num_channels: Sequence[int],
        num_classes: int = 2,
        second_edition: bool = False,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.constant_embedding = nn.Embedding(vocab_size, embed_size)
        self.dropout = nn.Dropout(0.5)
        self.decoder = nn.Linear(sum(num_channels), num_classes)
        self.convs = nn.ModuleList(
            nn.Conv1d(2 * embed_size, channels, size) for channels, size in zip(num_channels, kernel_sizes)
        )
        self.second_edition = second_edition
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv1d):
                nn.init.xavier_uniform_(layer.weight)

    def forward(self, inputs: Int[Tensor, "batch steps"]) -> Float[Tensor, "batch classes"]:
        words = torch.cat([self.embedding(inputs), self.constant_embedding(inputs)], 2).permute(0, 2, 1)
        maps = [conv(words) for conv in self.convs]
        pooled = [each.amax(-1) if self.second_edition else each.mean(-1) for each in maps]
        return self.decoder(self.dropout(torch.relu(torch.cat(pooled, 1))))
