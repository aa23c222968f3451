"""The vision Transformer (Dosovitskiy et al. 2021; book, section 11.8)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parity.reference.attention import MultiHeadAttention, ValidLens

Images = Float[Tensor, "batch channels height width"]
Sequences = Float[Tensor, "batch steps hiddens"]
Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
    """The pair (height, width) of a size: `3` becomes `(3, 3)`, a pair stays."""
    return (size, size) if isinstance(size, int) else size


class PatchEmbedding(nn.Module):
    """Cuts images into patches, in reading order, and projects each (book, section 11.8).

    Shapes: (batch, in_channels, height, width) -> (batch, num_patches, num_hiddens).
    """

    def __init__(self, img_size: Size = 96, patch_size: Size = 16, num_hiddens: int = 512, in_channels: int = 1):
        super().__init__()
        rows, columns = (size // patch for size, patch in zip(pair(img_size), pair(patch_size), strict=True))
        self.num_patches = rows * columns
        self.conv = nn.Conv2d(in_channels, num_hiddens, kernel_size=patch_size, stride=patch_size)

    def forward(self, X: Images) -> Sequences:
        return self.conv(X).flatten(2).transpose(1, 2)


class ViTMLP(nn.Module):
    """An MLP with a hidden layer, the exact GELU and dropout (book, section 11.8).

    `num_inputs` defaults to `mlp_num_outputs`.
    """

    def __init__(self, mlp_num_hiddens: int, mlp_num_outputs: int, dropout: float = 0.5, num_inputs: int | None = None):
        super().__init__()
        self.dense1 = nn.Linear(num_inputs or mlp_num_outputs, mlp_num_hiddens)
        self.gelu = nn.GELU()
        self.dropout1 = nn.Dropout(dropout)
        self.dense2 = nn.Linear(mlp_num_hiddens, mlp_num_outputs)
        self.dropout2 = nn.Dropout(dropout)

    def forward(self, X: Float[Tensor, "batch steps inputs"]) -> Float[Tensor, "batch steps outputs"]:
        return self.dropout2(self.dense2(self.dropout1(self.gelu(self.dense1(X)))))


class ViTBlock(nn.Module):
    """A ViT block: self-attention and an MLP, each normalised before and with a residual (book, section 11.8)."""

    def __init__(
        self,
        num_hiddens: int,
        norm_shape: int,
        mlp_num_hiddens: int,
        num_heads: int,
        dropout: float,
        use_bias: bool = False,
    ):
        super().__init__()
        self.ln1 = nn.LayerNorm(norm_shape)
        self.attention = MultiHeadAttention(num_hiddens, num_heads, dropout, use_bias)
        self.ln2 = nn.LayerNorm(norm_shape)
        self.mlp = ViTMLP(mlp_num_hiddens, num_hiddens, dropout)

    def forward(self, X: Sequences, valid_lens: ValidLens = None) -> Sequences:
        Y = self.ln1(X)
        X = X + self.attention(Y, Y, Y, valid_lens)
        return X + self.mlp(self.ln2(X))


class ViT(nn.Module):
    """A vision Transformer: patches behind a class token, learned positions, blocks (book, section 11.8).

    The scores are computed from the output of the class token.
    """

    def __init__(
        self,
        img_size: Size = 96,
        patch_size: Size = 16,
        num_hiddens: int = 512,
        mlp_num_hiddens: int = 2048,
        num_heads: int = 8,
        num_blks: int = 2,
        emb_dropout: float = 0.1,
        blk_dropout: float = 0.1,
        use_bias: bool = False,
        num_classes: int = 10,
        in_channels: int = 1,
    ):
        super().__init__()
        self.patch_embedding = PatchEmbedding(img_size, patch_size, num_hiddens, in_channels)
        num_steps = self.patch_embedding.num_patches + 1
        self.cls_token = nn.Parameter(torch.zeros(1, 1, num_hiddens))
        self.pos_embedding = nn.Parameter(torch.randn(1, num_steps, num_hiddens))
        self.dropout = nn.Dropout(emb_dropout)
        sizes = (num_hiddens, num_hiddens, mlp_num_hiddens, num_heads, blk_dropout, use_bias)
        self.blks = nn.Sequential(*(ViTBlock(*sizes) for _ in range(num_blks)))
        self.head = nn.Sequential(nn.LayerNorm(num_hiddens), nn.Linear(num_hiddens, num_classes))

    def forward(self, X: Images) -> Float[Tensor, "batch classes"]:
        Y = self.patch_embedding(X)
        Y = torch.cat([self.cls_token.expand(len(X), -1, -1), Y], dim=1)
        Y = self.blks(self.dropout(Y + self.pos_embedding))
        return self.head(Y[:, 0])
