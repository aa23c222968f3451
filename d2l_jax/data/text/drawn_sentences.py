"""The embedded texts with labels: reviews and pairs of sentences, drawn from a few words and Python's help topics."""

import platform
from collections.abc import Sequence

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.text.reviews import Review, review_data
from d2l_jax.data.text.snli import Pair, inference_data
from d2l_jax.errors import InputError

PRAISE = ("great", "lovely", "brilliant", "charming", "superb", "wonderful")
BLAME = ("bad", "boring", "awful", "dull", "terrible", "clumsy")
WHO = ("the girl", "the boy", "a teacher", "the singer", "my friend")
DOES = ("buys", "sells", "paints", "finds", "hides")
COLOURS = ("red", "blue", "green", "black", "white")
THINGS = ("car", "house", "boat", "door", "hat")


def drawn_reviews(
    num_train: int = 600, num_val: int = 200, steps: int = 40, seed: int = 0, *, corrected: bool = False
) -> Dataset:
    """Reviews of 10 to 40 words of Python's help topics, among them three of praise, or three of blame.

    The text is not the same in every version of Python; `source` names the version. Shapes are those of `review_data`.

    Raises:
      InputError: a number of reviews or of steps is below 1.
    """
    _refuse(num_train, num_val)
    from pydoc_data.topics import topics

    words = " ".join(topics[topic] for topic in sorted(topics)).split()
    random = np.random.default_rng(seed)
    reviews = [_review(words, random) for _ in range(num_train + num_val)]
    source = f"embedded default (help topics of Python {platform.python_version()} with words of praise and blame)"
    name = "drawn_reviews_corrected" if corrected else "drawn_reviews"
    return review_data(reviews[:num_train], reviews[num_train:], steps, corrected=corrected, name=name, source=source)


def drawn_pairs(
    num_train: int = 900, num_val: int = 300, steps: int = 10, seed: int = 0, *, corrected: bool = False
) -> Dataset:
    """Sentences such as "the girl buys a red car", each with one that follows, that cannot be, or that may be.

    Without the colour it follows; in another colour it cannot be; a colour that the premise lacks may be. Shapes are
    those of `inference_data`.

    Raises:
      InputError: a number of pairs or of steps is below 1.
    """
    _refuse(num_train, num_val)
    random = np.random.default_rng(seed)
    pairs = [_pair(random) for _ in range(num_train + num_val)]
    source = "embedded default (sentences about the colours of things)"
    name = "drawn_pairs_corrected" if corrected else "drawn_pairs"
    return inference_data(pairs[:num_train], pairs[num_train:], steps, corrected=corrected, name=name, source=source)


def _refuse(num_train: int, num_val: int) -> None:
    if min(num_train, num_val) < 1:
        raise InputError(f"{num_train} examples to train and {num_val} to test on: give 1 or more of each")


def _review(words: Sequence[str], random: np.random.Generator) -> Review:
    length = int(random.integers(10, 38))
    start = int(random.integers(len(words) - length))
    text = list(words[start : start + length])
    label = int(random.integers(2))
    for word in random.choice(PRAISE if label else BLAME, 3):
        text.insert(int(random.integers(len(text) + 1)), str(word))
    return Review(" ".join(text), label)


def _pair(random: np.random.Generator) -> Pair:
    who, does, thing = (str(random.choice(words)) for words in (WHO, DOES, THINGS))
    colour, other = (str(word) for word in random.choice(COLOURS, 2, replace=False))
    plain = f"{who} {does} a {thing} ."
    coloured = f"{who} {does} a {colour} {thing} ."
    label = int(random.integers(3))
    premises = (coloured, coloured, plain)
    hypotheses = (str(random.choice([plain, coloured])), f"{who} {does} a {other} {thing} .", coloured)
    return Pair(premises[label], hypotheses[label], label)
