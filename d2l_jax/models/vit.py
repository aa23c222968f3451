"""The vision Transformer (Dosovitskiy et al. 2021; book, section 11.8)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn
from d2l_jax.errors import InputError
from d2l_jax.models.attention import MultiHeadAttention, ValidLens
from d2l_jax.models.transformer_blocks import Sequences
from d2l_jax.nn.affine import Size, pair

Images = Float[Array, "batch height width channels"]


class PatchEmbedding(nnx.Module):
    """Cuts images into patches, in reading order, and projects each (book, section 11.8).

    Shapes: (batch, height, width, in_channels) -> (batch, num_patches, num_hiddens). Raises InputError unless the
    patches fill `img_size`, and for images of another size.
    """

    def __init__(
        self,
        img_size: Size = 96,
        patch_size: Size = 16,
        num_hiddens: int = 512,
        in_channels: int = 1,
        *,
        rngs: nnx.Rngs,
    ):
        height, width = pair(img_size)
        patch_height, patch_width = pair(patch_size)
        if height % patch_height or width % patch_width:
            patch = f"{patch_height}x{patch_width}"
            raise InputError(f"images of {height}x{width} in patches of {patch}; multiples of the patch are right")
        self.img_size = (height, width)
        self.num_patches = (height // patch_height) * (width // patch_width)
        self.conv = nn.Conv2d(in_channels, num_hiddens, patch_size, stride=patch_size, rngs=rngs)

    def __call__(self, X: Images) -> Sequences:
        if X.shape[1:3] != self.img_size:
            actual, right = ("x".join(map(str, size)) for size in (X.shape[1:3], self.img_size))
            raise InputError(f"images of {actual}; {right} is right for this model")
        Y = self.conv(X)
        return Y.reshape(Y.shape[0], self.num_patches, -1)


class ViTMLP(nnx.Module):
    """An MLP with a hidden layer, the exact GELU and dropout (book, section 11.8).

    `num_inputs` defaults to `mlp_num_outputs`.
    """

    def __init__(
        self,
        mlp_num_hiddens: int,
        mlp_num_outputs: int,
        dropout: float = 0.5,
        num_inputs: int | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        self.dense1 = nn.Linear(num_inputs or mlp_num_outputs, mlp_num_hiddens, rngs=rngs)
        self.dropout1 = nnx.Dropout(dropout, rngs=rngs)
        self.dense2 = nn.Linear(mlp_num_hiddens, mlp_num_outputs, rngs=rngs)
        self.dropout2 = nnx.Dropout(dropout, rngs=rngs)

    def __call__(self, X: Float[Array, "batch steps inputs"]) -> Float[Array, "batch steps outputs"]:
        H = self.dropout1(jax.nn.gelu(self.dense1(X), approximate=False))
        return self.dropout2(self.dense2(H))


class ViTBlock(nnx.Module):
    """A ViT block: self-attention and an MLP, each normalised before and with a residual (book, section 11.8)."""

    def __init__(
        self,
        num_hiddens: int,
        norm_shape: int,
        mlp_num_hiddens: int,
        num_heads: int,
        dropout: float,
        use_bias: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        self.ln1 = nn.LayerNorm(norm_shape)
        self.attention = MultiHeadAttention(num_hiddens, num_heads, dropout, use_bias, rngs=rngs)
        self.ln2 = nn.LayerNorm(norm_shape)
        self.mlp = ViTMLP(mlp_num_hiddens, num_hiddens, dropout, rngs=rngs)

    def __call__(self, X: Sequences, valid_lens: ValidLens = None) -> Sequences:
        Y = self.ln1(X)
        X = X + self.attention(Y, Y, Y, valid_lens)
        return X + self.mlp(self.ln2(X))


class ViT(nnx.Module):
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
        *,
        rngs: nnx.Rngs,
    ):
        self.patch_embedding = PatchEmbedding(img_size, patch_size, num_hiddens, in_channels, rngs=rngs)
        num_steps = self.patch_embedding.num_patches + 1
        self.cls_token = nnx.Param(jnp.zeros((1, 1, num_hiddens), jnp.float32))
        positions = jax.random.normal(rngs.params(), (1, num_steps, num_hiddens), jnp.float32)
        self.pos_embedding = nnx.Param(positions)
        self.dropout = nnx.Dropout(emb_dropout, rngs=rngs)
        sizes = (num_hiddens, num_hiddens, mlp_num_hiddens, num_heads, blk_dropout, use_bias)
        self.blks = nn.Sequential(*(ViTBlock(*sizes, rngs=rngs) for _ in range(num_blks)))
        self.head = nn.Sequential(nn.LayerNorm(num_hiddens), nn.Linear(num_hiddens, num_classes, rngs=rngs))

    def __call__(self, X: Images) -> Float[Array, "batch classes"]:
        Y = self.patch_embedding(X)
        cls = jnp.broadcast_to(self.cls_token[...], (Y.shape[0], 1, Y.shape[2]))
        Y = jnp.concatenate([cls, Y], axis=1)
        Y = self.blks(self.dropout(Y + self.pos_embedding[...]))
        return self.head(Y[:, 0])
