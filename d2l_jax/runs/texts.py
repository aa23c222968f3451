"""What a trained model of text writes: continuations, or translations with their BLEU and attention."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from d2l_jax.data import Dataset, Vocab, encode
from d2l_jax.functional import Tree
from d2l_jax.generate import bleu, make_completion, make_greedy, until_eos

PREFIXES = ("it has", "time traveller")
CHARACTERS = 20
FROM_ENGLISH = {  # the book's four (section 10.7), in the data set's own words
    "go .": "va !",
    "i lost .": "j'ai perdu .",
    "he's calm .": "il est calme .",
    "i'm home .": "je suis chez moi .",
}


class Text(NamedTuple):
    """A sample of what a model writes.

    given:  the prefix, or the sentence to translate
    made:   by the model: the prefix with its continuation, or the translation
    wanted: the true translation
    bleu:   with n-grams of up to 2 tokens
    """

    given: str
    made: str
    wanted: str = ""
    bleu: float | None = None

    def __str__(self) -> str:
        told = "" if self.bleu is None else f"   bleu {self.bleu:.3f}"
        return f"{self.given} -> {self.made}{told}"


class Trained(NamedTuple):
    """A model and its weights, wherever they were trained."""

    model: Any
    params: Tree
    buffers: Tree


class Texts(NamedTuple):
    """Samples, and the attention weights of the translations: {module: (sentences, heads, queries, keys)}."""

    samples: list[Text]
    attention: dict[str, np.ndarray]


def write_texts(data: Dataset, trained: Trained) -> Texts:
    """Writes the book's samples, or the like where the data is other than the book's."""
    if data.kind == "translation":
        return _translations(data, trained)
    return Texts(continuations(data.vocabs[0], trained, PREFIXES), {})


def continuations(vocab: Vocab, trained: Trained, prefixes: Sequence[str]) -> list[Text]:
    """Continues each prefix by `CHARACTERS` characters."""
    complete = make_completion(trained.model, CHARACTERS)
    made = [complete(*trained[1:], jnp.array([vocab[list(prefix)]], jnp.int32)) for prefix in prefixes]
    return [Text(prefix, "".join(vocab.to_tokens(ids[0]))) for prefix, ids in zip(prefixes, made)]


def _translations(data: Dataset, trained: Trained) -> Texts:
    source, target = data.vocabs
    pairs = FROM_ENGLISH if data.name == "fra_eng" else _held_out(data)
    src, lengths = encode(list(pairs), source, data.train[0][0].shape[1])
    greedy = make_greedy(trained.model, data.train[1].shape[1], target["<bos>"], with_attention=True)
    ids, _, sown = greedy(*trained[1:], jnp.asarray(src), jnp.asarray(lengths))
    made = [" ".join(target.to_tokens(row)) for row in until_eos(ids, target["<eos>"])]
    texts = [Text(given, own, wanted, bleu(own, wanted, 2)) for (given, wanted), own in zip(pairs.items(), made)]
    return Texts(texts, dict(_weights(sown, len(src))))


def _held_out(data: Dataset, count: int = 4) -> dict[str, str]:
    """The first pairs to test on, as sentences."""
    source, target = data.vocabs
    (X, _, lengths), y = data.test
    given = [" ".join(source.to_tokens(row[: length - 1])) for row, length in zip(X[:count], lengths)]
    wanted = [" ".join(target.to_tokens(row)) for row in until_eos(jnp.asarray(y[:count]), target["<eos>"])]
    return dict(zip(given, wanted))


def _weights(sown: Tree, sentences: int, place: tuple[str, ...] = ()) -> Any:
    """("decoder.attention", (sentences, heads, queries, keys)) for every module that attends."""
    for name, value in sown.items():
        if isinstance(value, dict):
            yield from _weights(value, sentences, (*place, name))
        elif name == "attention_weights":
            weights = np.asarray(value[0])  # of the only call
            if weights.ndim == 4:  # single steps, one query each
                weights = np.moveaxis(weights[:, :, 0], 0, 1)
            heads = len(weights) // sentences
            yield ".".join(place), weights.reshape(sentences, heads, *weights.shape[1:])
