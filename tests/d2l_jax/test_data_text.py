"""Text for language models: any text, The Time Machine, and what is embedded."""

import numpy as np
import pytest
from data_toy import REAL, alone_fixture, needs_real  # noqa: F401

from d2l_jax.data import load, load_raw, ngram_frequencies, text_data, text_tokens, topics
from d2l_jax.errors import InputError

TEXT = "The Time -- Machine!\n\n(by H. G. Wells, 1895)\nÉté"


def test_all_but_letters_becomes_one_space():
    assert "".join(text_tokens(TEXT)) == "the time machine by h g wells t "
    assert text_tokens(TEXT, "word") == ["the", "time", "machine", "by", "h", "g", "wells", "t"]


def test_windows_are_the_first_at_every_offset_and_targets_one_later():
    data = text_data(TEXT, steps=5, num_train=9, num_val=4)
    X, y = data.train
    X_test, y_test = data.test
    assert X.shape == y.shape == (9, 5) and X_test.shape == y_test.shape == (4, 5)
    assert X.dtype == y.dtype == np.int32
    assert (data.kind, data.examples, data.held_out, data.name) == ("text", 9, 4, "text")
    (vocab,) = data.vocabs
    assert "".join(vocab.to_tokens(X[1])) == "he ti" and "".join(vocab.to_tokens(y[1])) == "e tim"
    assert "".join(vocab.to_tokens(X_test[0])) == "machi" and np.array_equal(X[1:, :-1], y[:-1, :-1])


def test_words_and_their_vocabulary():
    data = text_data(TEXT, 2, 3, 1, token="word")
    assert data.vocabs[0].to_tokens(data.train[0]) == [["the", "time"], ["time", "machine"], ["machine", "by"]]
    assert len(data.vocabs[0]) == 9


@needs_real("text")
def test_time_machine_is_the_books(monkeypatch: pytest.MonkeyPatch):
    """Facts of the specification: vocabulary, first tokens, number of windows."""
    monkeypatch.setenv("D2L_DATA", str(REAL))
    data = load("time_machine")
    assert data.source == f"timemachine.txt in {REAL / 'text'}" and load(kind="text").name == "time_machine"
    assert data.train[0].shape == (10000, 32) and data.test[1].shape == (5000, 32)
    (vocab,) = data.vocabs
    assert list(vocab) == [" ", "<unk>", *"abcdefghijklmnopqrstuvwxyz"]
    assert data.train[0][0, :10].tolist() == [21, 9, 6, 0, 21, 10, 14, 6, 0, 14]
    tokens = text_tokens(load_raw("time_machine"))
    ids = np.array(vocab[tokens])
    assert len(tokens) == 173428 and vocab.unk not in ids
    assert np.array_equal(data.train[1][9999], ids[10000:10032]) and np.array_equal(data.test[0][0], ids[10000:10032])
    every = text_data(load_raw("time_machine"), 32, 10000, 163396)
    assert every.examples + every.held_out == 173396


@needs_real("text")
def test_time_machine_in_words():
    text = load_raw("TimeMachine", source=REAL)
    data = text_data(text, 7, 100, 50, "word")
    assert data.vocabs[0].to_tokens(data.train[0][0]) == ["the", "time", "machine", "by", "h", "g", "wells"]
    words = text_tokens(text, "word")
    assert [ngram for ngram, _ in ngram_frequencies(words, 1)[:3]] == [("the",), ("i",), ("and",)]
    assert ngram_frequencies(words, 2)[0][0] == ("of", "the")
    assert ngram_frequencies(words, 3)[0][0] == ("the", "time", "traveller")


def test_embedded_text_is_long_and_always_there(alone: object):
    data = load(kind="text")
    assert data.name == "topics" and data.source.startswith("embedded default (help topics of Python 3.")
    assert data.train[0].shape == (10000, 32) and len(data.vocabs[0]) == 28
    assert sum(count for _, count in data.vocabs[0].token_freqs) > 100_000
    assert np.array_equal(load("topics", seed=3).train[0], data.train[0])
    assert topics(5, 40, 30, "word").train[0].shape == (40, 5)


@pytest.mark.parametrize("text", ["", " \n", "1895: 42!"])
def test_empty_corpus(text: str):
    with pytest.raises(InputError, match="the text is empty; letters from a to z are needed"):
        text_data(text)


BAD = {
    "shorter than a window": (dict(steps=32), "32 tokens are too few: 1 x 32 steps and the last target need 33"),
    "too few windows": (dict(num_train=20, num_val=8), "text has 27 windows of 5 steps; 28 were asked for"),
    "negative windows": (dict(num_train=-1), "-1 windows to train"),
    "no windows to test on": (dict(num_val=0), "0 to test on"),
    "negative steps": (dict(steps=-5), "windows of -5 steps are empty"),
    "kind of token": (dict(token="words"), "unknown kind of token 'words'; did you mean word"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str):
    arguments, message = BAD[case]
    with pytest.raises(InputError, match=message):
        text_data(TEXT, **{"steps": 5, "num_train": 9, "num_val": 4} | arguments)


def test_control_the_limits_are_sharp():
    assert text_data(TEXT, 5, 20, 7).held_out == 7
