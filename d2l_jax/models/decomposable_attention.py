"""Natural language inference by decomposable attention (Parikh et al. 2016; book, section 16.5)."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from d2l_jax import nn
from d2l_jax.cpu import softmax

Premises = Float[Array, "batch m features"]
Hypotheses = Float[Array, "batch n features"]
Compared = tuple[Float[Array, "batch m hiddens"], Float[Array, "batch n hiddens"]]
Mask = Bool[Array, "batch steps"] | None
Masks = tuple[Bool[Array, "batch m"] | None, Bool[Array, "batch n"] | None]


def mlp(num_inputs: int, num_hiddens: int, flatten: bool, rngs: nnx.Rngs) -> nn.Sequential:
    """Returns two dense layers with ReLU, each behind dropout of 0.2 (section 16.5).

    flatten: numbers the layers as PyTorch's network with a flattening behind each ReLU does, where there is a vector
             for each sentence
    """
    layers = []
    for features in (num_inputs, num_hiddens):
        layers += [nnx.Dropout(0.2, rngs=rngs), nn.Linear(features, num_hiddens, rngs=rngs), nnx.relu]
        layers += [nn.flatten] if flatten else []
    return nn.Sequential(*layers)


class Attend(nnx.Module):
    """Soft alignment of each sentence to the words of the other (section 16.5).

    Of masks (batch, steps), True at words, the others take no part; without any, padding is a word.
    Shapes: (batch, m, num_inputs), (batch, n, num_inputs) -> beta like the first, alpha like the second.
    """

    def __init__(self, num_inputs: int, num_hiddens: int, *, rngs: nnx.Rngs):
        self.f = mlp(num_inputs, num_hiddens, False, rngs)

    def __call__(self, A: Premises, B: Hypotheses, masks: Masks = (None, None)) -> tuple[Premises, Hypotheses]:
        scores = self.f(A) @ self.f(B).swapaxes(1, 2)
        to_B = attention(scores, masks[1])
        to_A = attention(scores.swapaxes(1, 2), masks[0])
        self.sow(nnx.Intermediate, "attention_weights", to_B[:, None])
        return to_B @ B, to_A @ A


def attention(scores: Float[Array, "batch queries keys"], mask: Mask) -> Float[Array, "batch queries keys"]:
    """Softmax over the keys that the mask holds; 0 for the others, and for all where it holds none."""
    if mask is None:
        return softmax(scores)
    seen = mask[:, None]
    return jnp.where(seen, softmax(jnp.where(seen, scores, -1e6)), 0)


class Compare(nnx.Module):
    """A network over each word beside what it is aligned to (section 16.5).

    Shapes: as `Attend`, with vectors of num_inputs / 2 -> (batch, m, num_hiddens), (batch, n, num_hiddens).
    """

    def __init__(self, num_inputs: int, num_hiddens: int, *, rngs: nnx.Rngs):
        self.g = mlp(num_inputs, num_hiddens, False, rngs)

    def __call__(self, A: Premises, B: Hypotheses, beta: Premises, alpha: Hypotheses) -> Compared:
        return self.g(jnp.concatenate([A, beta], axis=2)), self.g(jnp.concatenate([B, alpha], axis=2))


class Aggregate(nnx.Module):
    """Sums over the words of each sentence, and scores for both sums together (section 16.5)."""

    def __init__(self, num_inputs: int, num_hiddens: int, num_outputs: int, *, rngs: nnx.Rngs):
        self.h = mlp(num_inputs, num_hiddens, True, rngs)
        self.linear = nn.Linear(num_hiddens, num_outputs, rngs=rngs)

    def __call__(self, V_A: Premises, V_B: Hypotheses, masks: Masks = (None, None)) -> Float[Array, "batch outputs"]:
        sums = [
            jnp.sum(V if mask is None else jnp.where(mask[..., None], V, 0), axis=1)
            for V, mask in zip((V_A, V_B), masks)
        ]
        return self.linear(self.h(jnp.concatenate(sums, axis=1)))


class DecomposableAttention(nnx.Module):
    """Classifier of whether a premise entails a hypothesis, by words that are aligned and compared (section 16.5).

    vocab_size: number of words; the book takes a vocabulary
    pad:        number of the padding, which then takes no part in attention and sums; None, as in the book, leaves it
                a word like any other

    Shapes: premises (batch, m), hypotheses (batch, n) -> scores (batch, num_classes).
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
        *,
        rngs: nnx.Rngs,
    ):
        self.pad = pad
        self.embedding = nn.Embedding(vocab_size, embed_size, rngs=rngs)
        self.attend = Attend(num_inputs_attend, num_hiddens, rngs=rngs)
        self.compare = Compare(num_inputs_compare, num_hiddens, rngs=rngs)
        self.aggregate = Aggregate(num_inputs_agg, num_hiddens, num_classes, rngs=rngs)

    def __call__(
        self, premises: Int[Array, "batch m"], hypotheses: Int[Array, "batch n"]
    ) -> Float[Array, "batch classes"]:
        A = self.embedding(premises)
        B = self.embedding(hypotheses)
        masks = (None, None) if self.pad is None else (premises != self.pad, hypotheses != self.pad)
        beta, alpha = self.attend(A, B, masks)
        return self.aggregate(*self.compare(A, B, beta, alpha), masks)
