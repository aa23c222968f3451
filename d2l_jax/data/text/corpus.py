"""Text as windows of characters or words for language models (sections 9.2 and 9.3 of the book)."""

import re

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.text.vocab import Vocab
from d2l_jax.data.text.windows import cut, every_window
from d2l_jax.errors import InputError, one_of


def text_tokens(text: str, token: str = "char") -> list[str]:
    """Splits a text into lower-case letters a to z, with one space for all else between them, or into words of letters.

    Args:
      text: any text.
      token: `"char"` or `"word"`.

    Raises:
      InputError: `token` is neither, or the text holds no letter from a to z.
    """
    if token not in ("char", "word"):
        raise one_of("kind of token", token, ["char", "word"])
    plain = re.sub("[^A-Za-z]+", " ", text).lower()
    if not plain.strip():
        raise InputError("the text is empty; letters from a to z are needed")
    return list(plain) if token == "char" else plain.split()


def text_data(
    text: str,
    steps: int = 32,
    num_train: int = 10000,
    num_val: int = 5000,
    token: str = "char",
    *,
    name: str = "text",
    source: str = "the given text",
) -> Dataset:
    """Cuts the first windows of a text, one at every offset, with the next token at each step as the target.

    Args:
      text: any text, split as by `text_tokens`.
      steps: tokens in a window.
      num_train: windows to train on, the first of the text.
      num_val: windows to test on, those that follow.
      token: `"char"` or `"word"`.
      name: name of the result.
      source: where the text is from, for the log.

    Returns:
      X int32 (N, steps), y int32 (N, steps), and one vocabulary: that of the whole text.

    Raises:
      InputError: as `text_tokens`, or a number is below 1, or the text is too short.
    """
    if min(num_train, num_val) < 1:
        raise InputError(f"{num_train} windows to train and {num_val} to test on: give 1 or more of each")
    tokens = text_tokens(text, token)
    starts = every_window(len(tokens), steps)
    total = num_train + num_val
    if len(starts) < total:
        raise InputError(f"{name} has {len(starts)} windows of {steps} steps; {total} were asked for, give less")
    vocab = Vocab(tokens)
    ids = np.array(vocab[tokens], np.int32)
    train = cut(ids, starts[:num_train], steps)
    test = cut(ids, starts[num_train:total], steps)
    return Dataset(name, train, test, source, vocabs=(vocab,))
