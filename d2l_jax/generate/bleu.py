"""BLEU (Papineni et al. 2002) in the book's form, for one sentence."""

import math
from collections import Counter

from d2l_jax.errors import InputError


def bleu(pred: str, label: str, k: int) -> float:
    """How well a prediction matches its label, from 0 to 1, in n-grams of up to `k` tokens (book, section 10.7.6).

    Tokens are split at spaces. Longer matches weigh more; one length without any match gives 0, and so does an empty
    prediction. A prediction shorter than its label is penalised.
    Raises: InputError for a k below 1.
    """
    if k < 1:
        raise InputError(f"BLEU needs n-grams of at least 1 token, got k = {k}")
    predicted, wanted = pred.split(), label.split()
    if not predicted:
        return 0.0
    brevity = math.exp(min(0.0, 1 - len(wanted) / len(predicted)))
    lengths = range(1, min(k, len(predicted)) + 1)
    return brevity * math.prod(_precision(predicted, wanted, n) ** 0.5**n for n in lengths)


def _precision(predicted: list[str], wanted: list[str], n: int) -> float:
    """The share of predicted n-grams that match, each at most as often as the label has it."""
    found = _ngrams(predicted, n)
    return (found & _ngrams(wanted, n)).total() / found.total()


def _ngrams(tokens: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[i:] for i in range(n))))
