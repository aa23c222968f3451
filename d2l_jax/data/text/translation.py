"""Pairs of sentences for translation models (section 10.5 of the book)."""

import io
import itertools
import re
from collections.abc import Sequence

import numpy as np

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.text.vocab import Vocab
from d2l_jax.errors import InputError

PAD = "<pad>"
BOS = "<bos>"
EOS = "<eos>"
Pairs = Sequence[tuple[str, str]]


def sentence_tokens(sentence: str) -> list[str]:
    """Splits a sentence into lower-case words and the marks , . ! ? and appends `<eos>`."""
    plain = sentence.replace("\u202f", " ").replace("\xa0", " ").lower()
    spaced = re.sub(r"([,.!?])", r" \1", plain)
    return [token for token in spaced.split(" ") if token] + [EOS]


def encode(sentences: Sequence[str], vocab: Vocab, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Turns sentences into ids of tokens, each cut or padded to `steps` tokens.

    Returns:
      ids int32 (N, steps), and valid lengths int32 (N,): the number of tokens that are no padding, `<eos>` included.

    Raises:
      InputError: `steps` is below 1.
    """
    tokens = [_fitted(sentence, steps) for sentence in sentences]
    ids = np.array(vocab[tokens], np.int32).reshape(-1, steps)
    return ids, (ids != vocab[PAD]).sum(1, dtype=np.int32)


def read_pairs(text: str, limit: int | None = None) -> list[tuple[str, str]]:
    """Reads pairs (sentence, translation) from the first `limit` lines of a text, split at tabs; skips empty lines.

    Raises:
      InputError: a line has no tab, or nothing before or after it.
    """
    pairs = []
    for number, line in enumerate(itertools.islice(io.StringIO(text), limit), 1):
        pair = [sentence.strip() for sentence in line.split("\t")[:2]]
        if pair == [""]:
            continue
        if len(pair) < 2 or not all(pair):
            raise InputError(f"line {number} of the pairs must hold a sentence, a tab, and its translation")
        pairs.append((pair[0], pair[1]))
    return pairs


def translation_data(
    pairs: Pairs,
    steps: int = 9,
    num_train: int = 512,
    num_val: int = 129,
    min_freq: int = 2,
    *,
    name: str = "pairs",
    source: str = "the given pairs",
) -> Dataset:
    """Encodes the first pairs of sentences, with vocabularies of the tokens that occur `min_freq` times in them.

    Args:
      pairs: sentences and their translations.
      steps: tokens in a sentence, `<eos>` included; longer ones are cut off, shorter ones padded.
      num_train: pairs to train on.
      num_val: pairs to test on, those that follow. The book asks for 128 and reads 129.
      min_freq: rarer tokens become `<unk>`.
      name: name of the result.
      source: where the pairs are from, for the log.

    Returns:
      X = (source int32 (N, steps), decoder input int32 (N, steps), valid source tokens int32 (N,)), y int32
      (N, steps); the vocabularies of the source and of the target.

    Raises:
      InputError: a number is below 1, or there are too few pairs.
    """
    total = num_train + num_val
    if min(num_train, num_val) < 1:
        raise InputError(f"{num_train} pairs to train and {num_val} to test on: give 1 or more of each")
    if len(pairs) < total:
        raise InputError(f"{name} has {len(pairs)} pairs; {total} were asked for, give less")
    sources, targets = zip(*pairs[:total])
    source_vocab = _vocab(sources, steps, min_freq, (PAD, EOS))
    target_vocab = _vocab(targets, steps, min_freq, (PAD, EOS, BOS))
    X, valid = encode(sources, source_vocab, steps)
    y, _ = encode(targets, target_vocab, steps)
    decoder = np.concatenate([np.full_like(y[:, :1], target_vocab[BOS]), y[:, :-1]], axis=1)
    train, test = (((X[i], decoder[i], valid[i]), y[i]) for i in (slice(num_train), slice(num_train, None)))
    return Dataset(name, train, test, source, vocabs=(source_vocab, target_vocab))


def _vocab(sentences: Sequence[str], steps: int, min_freq: int, marks: tuple[str, ...]) -> Vocab:
    return Vocab([_fitted(sentence, steps) for sentence in sentences], min_freq, marks)


def _fitted(sentence: str, steps: int) -> list[str]:
    if steps < 1:
        raise InputError(f"sentences of {steps} steps are empty; give 1 or more")
    tokens = sentence_tokens(sentence)[:steps]
    return tokens + [PAD] * (steps - len(tokens))
