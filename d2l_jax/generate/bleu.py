"""BLEU (Papineni et al. 2002) of a sentence, as the book computes it."""

import math
from collections import Counter

from d2l_jax.errors import InputError


def bleu(pred: str, label: str, k: int) -> float:
    """The BLEU score of a prediction, from 0 to 1, for n-grams of up to `k` tokens (book, section 10.7.6).

    Tokens are split at spaces. Longer matches weigh more; a length without any match gives 0, and so does an empty
    prediction. A prediction shorter than its label is penalised.
    Raises: InputError for a k below 1.
    """
    if k < 1:
        raise InputError(f"BLEU needs n-grams of at least 1 token, got k = {k}")
    predicted = pred.split()
    expected = label.split()
    if not predicted:
        return 0.0
    brevity = math.exp(min(0.0, 1 - len(expected) / len(predicted)))
    lengths = range(1, min(k, len(predicted)) + 1)
    return brevity * math.prod(_precision(predicted, expected, n) ** 0.5**n for n in lengths)


def _precision(predicted: list[str], expected: list[str], n: int) -> float:
    """The share of predicted n-grams that match, each at most as often as the label has it."""
    ngrams = _ngrams(predicted, n)
    return (ngrams & _ngrams(expected, n)).total() / ngrams.total()


def _ngrams(tokens: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[i:] for i in range(n))))
