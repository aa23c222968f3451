"""The embedded pairs of sentences: numbers in words, English and French."""

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.text.translation import translation_data

NUMBERS = 999


def number_words(steps: int = 9, num_train: int = 512, num_val: int = 129) -> Dataset:
    """Numbers from 1 to 999 in words as a translation, such as "two hundred and six" to "deux cent six".

    The selection is always the same, and shuffled. No token is `<unk>`. Shapes and errors are those of
    `translation_data`.
    """
    numbers = np.random.default_rng(0).permutation(NUMBERS)[: max(0, num_train + num_val)] + 1
    pairs = [(_words(n, "en"), _words(n, "fr")) for n in numbers.tolist()]
    source = f"embedded default (numbers from 1 to {NUMBERS} in words)"
    return translation_data(pairs, steps, num_train, num_val, 1, name="number_words", source=source)


def _words(number: int, language: str) -> str:
    from num2words import num2words

    return num2words(number, lang=language).replace("-", " ")
