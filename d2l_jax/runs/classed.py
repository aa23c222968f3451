"""Classes of reviews and of pairs of sentences, as trained models answer texts (chapter 16)."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.data import Vocab, review_tokens, sentence_words
from d2l_jax.data.text.masked import SEP
from d2l_jax.data.text.reviews import CLASSES
from d2l_jax.data.text.snli import LABELS
from d2l_jax.data.text.translation import PAD
from d2l_jax.errors import InputError
from d2l_jax.functional import eval_view, functional
from d2l_jax.runs.finished import Finished


def felt(run: Finished, texts: Sequence[str]) -> list[str]:
    """Returns every text with its sentiment and the share of it; texts are not padded, as in the book."""
    (vocab,) = run.vocabs
    steps = max(run.case.args.get("kernel_sizes", (1,)))
    rows = [vocab[_words(review_tokens, text, vocab)] for text in texts]
    rows = [row + [vocab[PAD]] * (steps - len(row)) for row in rows]
    return [_classed(run, text, CLASSES, row) for text, row in zip(texts, rows)]


def inferred(run: Finished, texts: Sequence[str]) -> list[str]:
    """Returns every pair of sentences, `<sep>` between them, with what the first says of the second.

    Raises InputError for a text that is no pair.
    """
    (vocab,) = run.vocabs
    lines = []
    for text in texts:
        rows = [vocab[_words(sentence_words, sentence, vocab)] for sentence in sides_of(text)]
        lines.append(_classed(run, text, LABELS, *rows))
    return lines


def sides_of(text: str) -> tuple[str, str]:
    """Returns the premise and the hypothesis around `<sep>`; InputError for a text that is no such pair."""
    sides = [side.strip() for side in text.split(SEP)]
    if len(sides) != 2 or not all(sides):
        raise InputError(f'{text!r} is no pair; "he is good . {SEP} he is bad ." is right')
    return sides[0], sides[1]


def _words(tokens: Any, text: str, vocab: Vocab) -> list[str]:
    """Returns the words of a text, in lower case where the vocabulary has no other."""
    lower = not any(word != word.lower() for word in vocab)
    words = tokens(text, lower)
    if not words:
        raise InputError(f"{text!r} holds no words")
    return words


def _classed(run: Finished, text: str, names: Sequence[str], *rows: list[int]) -> str:
    apply = functional(eval_view(run.trained.model)).apply
    scores, _ = apply(*run.trained[1:], *(jnp.asarray([row], jnp.int32) for row in rows))
    shares = np.asarray(jax.nn.softmax(scores[0]))
    best = int(shares.argmax())
    return f"{text} -> {names[best]} {shares[best]:.3f}"
