"""The words that a trained model takes for the nearest (book, section 15.4.3)."""

from collections.abc import Sequence
from difflib import get_close_matches

from jaxtyping import Array, Float

from d2l_jax.algorithms import analogy, nearest
from d2l_jax.algorithms.similarity import Neighbours
from d2l_jax.data import Dataset, Vocab
from d2l_jax.errors import InputError
from d2l_jax.functional import parts
from d2l_jax.runs.texts import Text, Texts, Trained

NEIGHBOURS = 3
SHOWN = ("chip", "bank", "october", "class", "string", "list")  # of the Penn Treebank, and of the help topics


def write_neighbours(data: Dataset, trained: Trained) -> Texts:
    """Writes the nearest words of those of `SHOWN` that the data has, or else of its first words."""
    vocab = data.vocabs[0]
    words = [word for word in SHOWN if word in vocab] or list(vocab)[: len(SHOWN)]
    return Texts(neighbours(vocab, trained, words), {})


def neighbours(vocab: Vocab, trained: Trained, words: Sequence[str], k: int = NEIGHBOURS) -> list[Text]:
    """Returns each word with the `k` nearest others and their cosines.

    Raises InputError for a word that is not in the vocabulary.
    """
    vectors = vectors_of(trained)
    rows = rows_of(vocab, words)
    return [Text(word, _told(vocab, nearest(vectors, row, min(k, len(vocab) - 1)))) for word, row in zip(words, rows)]


def completed(vocab: Vocab, trained: Trained, words: Sequence[str]) -> Text:
    """Returns three words a, b, c with the d of "a is to b as c is to d" and its cosine (section 15.7.2).

    Raises InputError for a word that is not in the vocabulary.
    """
    a, b, c = rows_of(vocab, words)
    return Text(" ".join(words), _told(vocab, analogy(vectors_of(trained), a, b, c)))


def rows_of(vocab: Vocab, words: Sequence[str]) -> list[int]:
    """Returns the numbers of words; InputError for one that is not in the vocabulary."""
    for word in words:
        if word not in vocab:
            near = get_close_matches(word.lower(), list(vocab))
            right = f"{' or '.join(near)} is there" if near else "a frequent word of what it learned from is right"
            raise InputError(f"the vocabulary of {len(vocab)} words lacks {word!r}; {right}")
    return [vocab[word] for word in words]


def _told(vocab: Vocab, near: Neighbours) -> str:
    pairs = zip(vocab.to_tokens(near.rows), near.cosines.tolist())
    return ", ".join(f"{word} {cosine:.3f}" for word, cosine in pairs)


def vectors_of(trained: Trained) -> Float[Array, "words embed"]:
    """Returns the vectors of all words, which a model of chapter 15 tells by its `word_vectors`."""
    model, params, buffers = trained
    return parts(model).run(lambda words: words.word_vectors(), params, buffers)[0]
