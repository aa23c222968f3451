"""The parts of the Transformer (Vaswani et al. 2017; book, section 11.7)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from parity.reference.attention import MultiHeadAttention, ValidLens

Sequences = Float[Tensor, "batch steps hiddens"]
Sources = Float[Tensor, "batch sources hiddens"]
Past = Float[Tensor, "batch _ hiddens"] | None
ACTIVATIONS = {"relu": torch.relu, "gelu": F.gelu}


class PositionWiseFFN(nn.Module):
    """An MLP with a hidden layer, applied to every step alike (book, section 11.7).

    `num_inputs` defaults to `ffn_num_outputs`. `activation` is "relu", or "gelu" for the exact one.
    """

    def __init__(
        self, ffn_num_hiddens: int, ffn_num_outputs: int, num_inputs: int | None = None, activation: str = "relu"
    ):
        super().__init__()
        self.dense1 = nn.Linear(num_inputs or ffn_num_outputs, ffn_num_hiddens)
        self.dense2 = nn.Linear(ffn_num_hiddens, ffn_num_outputs)
        self.activation = activation

    def forward(self, X: Float[Tensor, "batch steps inputs"]) -> Float[Tensor, "batch steps outputs"]:
        return self.dense2(ACTIVATIONS[self.activation](self.dense1(X)))


class AddNorm(nn.Module):
    """The sum of X and Y, with dropout on Y, then layer normalisation (book, section 11.7)."""

    def __init__(self, norm_shape: int, dropout: float, eps: float = 1e-5):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.ln = nn.LayerNorm(norm_shape, eps)

    def forward(self, X: Sequences, Y: Sequences) -> Sequences:
        return self.ln(self.dropout(Y) + X)


class TransformerEncoderBlock(nn.Module):
    """An encoder block: self-attention and a position-wise network, each with `AddNorm` (book, section 11.7)."""

    def __init__(
        self,
        num_hiddens: int,
        ffn_num_hiddens: int,
        num_heads: int,
        dropout: float,
        use_bias: bool = False,
        activation: str = "relu",
        eps: float = 1e-5,
    ):
        super().__init__()
        self.attention = MultiHeadAttention(num_hiddens, num_heads, dropout, use_bias)
        self.addnorm1 = AddNorm(num_hiddens, dropout, eps)
        self.ffn = PositionWiseFFN(ffn_num_hiddens, num_hiddens, activation=activation)
        self.addnorm2 = AddNorm(num_hiddens, dropout, eps)

    def forward(self, X: Sequences, valid_lens: ValidLens = None) -> Sequences:
        Y = self.addnorm1(X, self.attention(X, X, X, valid_lens))
        return self.addnorm2(Y, self.ffn(Y))


class TransformerDecoderBlock(nn.Module):
    """A decoder block: self-attention, attention to the source and a position-wise network (book, section 11.7).

    `AddNorm` follows each part. Calls take and return the past of the block: None, or its inputs so far,
    concatenated. The book masks later steps only in training, so that in evaluation every step attends to all steps
    of a call; `corrected` masks later steps always.
    """

    def __init__(self, num_hiddens: int, ffn_num_hiddens: int, num_heads: int, dropout: float, corrected: bool = False):
        super().__init__()
        self.attention1 = MultiHeadAttention(num_hiddens, num_heads, dropout)
        self.addnorm1 = AddNorm(num_hiddens, dropout)
        self.attention2 = MultiHeadAttention(num_hiddens, num_heads, dropout)
        self.addnorm2 = AddNorm(num_hiddens, dropout)
        self.ffn = PositionWiseFFN(ffn_num_hiddens, num_hiddens)
        self.addnorm3 = AddNorm(num_hiddens, dropout)
        self.corrected = corrected

    def forward(
        self, X: Sequences, enc_outputs: Sources, enc_valid_lens: ValidLens = None, past: Past = None
    ) -> tuple[Sequences, Past]:
        inputs = X if past is None else torch.cat([past, X], dim=1)
        Y = self.addnorm1(X, self.attention1(X, inputs, inputs, self._visible(X, inputs)))
        Z = self.addnorm2(Y, self.attention2(Y, enc_outputs, enc_outputs, enc_valid_lens))
        return self.addnorm3(Z, self.ffn(Z)), inputs

    def _visible(self, X: Sequences, inputs: Sequences) -> ValidLens:
        if not (self.corrected or self.training):
            return None
        ends = torch.arange(1, X.shape[1] + 1, device=X.device)
        return (inputs.shape[1] - X.shape[1] + ends).expand(len(X), -1)
