"""Natural language inference by decomposable attention (Parikh et al. 2016; book, section 16.5)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

Premises = Float[Tensor, "batch m features"]
Hypotheses = Float[Tensor, "batch n features"]
Compared = tuple[Float[Tensor, "batch m hiddens"], Float[Tensor, "batch n hiddens"]]
Mask = Bool[Tensor, "batch steps"] | None
Masks = tuple[Bool[Tensor, "batch m"] | None, Bool[Tensor, "batch n"] | None]


def mlp(num_inputs: int, num_hiddens: int, flatten: bool) -> nn.Sequential:
    """Returns two dense layers with ReLU, each behind dropout of 0.2 (section 16.5)."""
    layers = []
    for features in (num_inputs, num_hiddens):
        layers += [nn.Dropout(0.2), nn.Linear(features, num_hiddens), nn.ReLU()]
        layers += [nn.Flatten(1)] if flatten else []
    return nn.Sequential(*layers)


class Attend(nn.Module):
    """Soft alignment of each sentence to the words of the other, in which masked ones take no part (section 16.5)."""

    def __init__(self, num_inputs: int, num_hiddens: int):
        super().__init__()
        self.f = mlp(num_inputs, num_hiddens, False)

    def forward(self, A: Premises, B: Hypotheses, masks: Masks = (None, None)) -> tuple[Premises, Hypotheses]:
        scores = self.f(A) @ self.f(B).mT
        return attention(scores, masks[1]) @ B, attention(scores.mT, masks[0]) @ A


def attention(scores: Float[Tensor, "batch queries keys"], mask: Mask) -> Float[Tensor, "batch queries keys"]:
    """Softmax over the keys that the mask holds; 0 for the others, and for all where it holds none."""
    if mask is None:
        return scores.softmax(-1)
    hidden = ~mask[:, None]
    return scores.masked_fill(hidden, -1e6).softmax(-1).masked_fill(hidden, 0)


class Compare(nn.Module):
    """A network over each word beside what it is aligned to (section 16.5)."""

    def __init__(self, num_inputs: int, num_hiddens: int):
        super().__init__()
        self.g = mlp(num_inputs, num_hiddens, False)

    def forward(self, A: Premises, B: Hypotheses, beta: Premises, alpha: Hypotheses) -> Compared:
        return self.g(torch.cat([A, beta], 2)), self.g(torch.cat([B, alpha], 2))


class Aggregate(nn.Module):
    """Sums over the words of each sentence, and scores for both sums together (section 16.5)."""

    def __init__(self, num_inputs: int, num_hiddens: int, num_outputs: int):
        super().__init__()
        self.h = mlp(num_inputs, num_hiddens, True)
        self.linear = nn.Linear(num_hiddens, num_outputs)

    def forward(self, V_A: Premises, V_B: Hypotheses, masks: Masks = (None, None)) -> Float[Tensor, "batch outputs"]:
        sums = [(V if mask is None else V * mask[..., None]).sum(1) for V, mask in zip((V_A, V_B), masks)]
        return self.linear(self.h(torch.cat(sums, 1)))


class DecomposableAttention(nn.Module):
    """Classifier of whether a premise entails a hypothesis, by words that are aligned and compared (section 16.5).

    Words with the number `pad` take no part; None, as in the book, leaves padding a word like any other.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        num_hiddens: int,
        num_inputs_attend: int = 100,
        num_inputs_compare: int = 200,
        num_inputs_agg: int = 400,
        num_classes: int = 3,
        pad: int | None = None,
    ):
        super().__init__()
        self.pad = pad
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.attend = Attend(num_inputs_attend, num_hiddens)
        self.compare = Compare(num_inputs_compare, num_hiddens)
        self.aggregate = Aggregate(num_inputs_agg, num_hiddens, num_classes)

    def forward(self, premises: Int[Tensor, "batch m"], hypotheses: Int[Tensor, "batch n"]) -> Float[Tensor, "batch c"]:
        A = self.embedding(premises)
        B = self.embedding(hypotheses)
        masks = (None, None) if self.pad is None else (premises != self.pad, hypotheses != self.pad)
        beta, alpha = self.attend(A, B, masks)
        return self.aggregate(*self.compare(A, B, beta, alpha), masks)
