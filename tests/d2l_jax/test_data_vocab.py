"""Vocabularies and n-grams."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from d2l_jax.data import Vocab, ngram_frequencies
from d2l_jax.errors import InputError

LINES = [["b", "a", "b"], ["c", "b", "a"]]


def test_tokens_are_sorted_lexicographically_and_unknown_has_no_fixed_index():
    vocab = Vocab(LINES, reserved_tokens=("<pad>", "!"))
    assert list(vocab) == ["!", "<pad>", "<unk>", "a", "b", "c"] and len(vocab) == 6
    assert vocab.unk == 2 and vocab["<pad>"] == 1
    assert vocab.token_freqs == (("b", 3), ("a", 2), ("c", 1))


def test_rare_tokens_are_dropped_and_reserved_ones_stay():
    vocab = Vocab(LINES, min_freq=2, reserved_tokens=["<eos>"])
    assert list(vocab) == ["<eos>", "<unk>", "a", "b"]
    assert "a" in vocab and "c" not in vocab and vocab["c"] == vocab.unk
    assert list(Vocab(LINES, min_freq=3)) == ["<unk>", "b"]


def test_flat_tokens_nested_ones_and_a_string_make_the_same():
    assert Vocab("babcba") == Vocab(list("babcba")) == Vocab(LINES) == Vocab([[LINES[0]], LINES[1]])
    assert Vocab("babcba") != Vocab("bacbad")


def test_no_token_at_all_leaves_unknown():
    assert list(Vocab()) == list(Vocab([])) == ["<unk>"] and Vocab()["a"] == 0


def test_indices_go_there_and_back_however_nested():
    vocab = Vocab(LINES)
    ids = vocab[LINES]
    assert ids == [[2, 1, 2], [3, 2, 1]] and vocab[[]] == []
    assert vocab.to_tokens(ids) == vocab.to_tokens(np.array(ids)) == LINES
    assert vocab.to_tokens(2) == vocab.to_tokens(np.int32(2)) == "b"


def test_unknown_tokens_map_to_unknown_but_a_strict_look_up_names_them():
    vocab = Vocab("abc")
    assert vocab["é"] == vocab.unk and vocab[["a", "é"]] == [1, 0]
    assert vocab.lookup("cab") == vocab.lookup(["c", "a", "b"]) == [3, 1, 2]
    with pytest.raises(InputError, match="vocabulary of 4 tokens lacks 'é'"):
        vocab.lookup("caéb")


@pytest.mark.parametrize("index", [4, -1, [0, 4], np.array([[1], [9]])])
def test_an_index_beyond_the_tokens(index: object):
    with pytest.raises(InputError, match="no token has the index .*0 to 3"):
        Vocab("abc").to_tokens(index)


def test_a_number_is_no_token():
    with pytest.raises(InputError, match="indexed by a token or a list of tokens, not by 3"):
        Vocab("abc")[3]  # pyright: ignore


def test_negative_frequency():
    with pytest.raises(InputError, match="min_freq -1 is negative"):
        Vocab("abc", min_freq=-1)


def test_a_vocabulary_cannot_be_changed_and_is_kept_by_pickle():
    vocab = Vocab("abc")
    with pytest.raises(FrozenInstanceError):
        vocab.idx_to_token = ()  # pyright: ignore
    copy = pickle.loads(pickle.dumps(vocab))
    assert copy == vocab and hash(copy) == hash(vocab) and copy["b"] == 2


def test_ngrams_are_counted_by_frequency():
    words = ["the", "time", "machine", "by", "the", "time", "traveller", "by", "the", "sea"]
    assert ngram_frequencies(words, 1)[:2] == [(("the",), 3), (("time",), 2)]
    assert ngram_frequencies(words, 2)[:2] == [(("the", "time"), 2), (("by", "the"), 2)]
    assert sum(count for _, count in ngram_frequencies(words, 3)) == len(words) - 2
    assert ngram_frequencies(words, 11) == []


@pytest.mark.parametrize("n", [0, -1])
def test_ngrams_of_nothing(n: int):
    with pytest.raises(InputError, match="1 for unigrams"):
        ngram_frequencies(["a"], n)
