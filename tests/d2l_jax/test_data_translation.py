"""Pairs of sentences: any pairs, the book's English and French, and what is embedded."""

import numpy as np
import pytest
from data_toy import REAL, alone_fixture, needs_real  # noqa: F401

from d2l_jax.data import encode, load, load_raw, number_words, read_pairs, sentence_tokens, translation_data
from d2l_jax.errors import InputError

TEXT = "Go.\tVa !\n\nI lost.\tJ'ai\xa0perdu.\tcredit\nWho?!\tQui\u202f?!\r\nI go.\tJe vais.\n"
SMALL = dict(steps=4, num_train=3, num_val=1, min_freq=1)


def test_sentences_are_lowered_and_marks_stand_alone():
    assert sentence_tokens("Va !") == ["va", "!", "<eos>"]
    assert sentence_tokens("J'ai\xa0perdu\u202f, Hélas..!") == ["j'ai", "perdu", ",", "hélas", ".", ".", "!", "<eos>"]
    assert sentence_tokens("?") == ["?", "<eos>"] and sentence_tokens("") == ["<eos>"]


def test_lines_are_read_up_to_a_limit_and_credits_dropped():
    pairs = [("Go.", "Va !"), ("I lost.", "J'ai\xa0perdu."), ("Who?!", "Qui\u202f?!"), ("I go.", "Je vais.")]
    assert read_pairs(TEXT) == pairs and read_pairs(TEXT, 3) == pairs[:2]


def test_toy_by_hand():
    data = translation_data(read_pairs(TEXT), **SMALL)
    source, target = data.vocabs
    assert list(source) == ["!", ".", "<eos>", "<pad>", "<unk>", "?", "go", "i", "lost", "who"]
    assert list(target) == [
        "!",
        ".",
        "<bos>",
        "<eos>",
        "<pad>",
        "<unk>",
        "?",
        *["j'ai", "je", "perdu", "qui", "va"],
        "vais",
    ]
    (X, decoder, valid), y = data.train
    assert X.tolist() == [[6, 1, 2, 3], [7, 8, 1, 2], [9, 5, 0, 2]] and valid.tolist() == [3, 4, 4]
    assert decoder.tolist() == [[2, 11, 0, 3], [2, 7, 9, 1], [2, 10, 6, 0]]
    assert y.tolist() == [[11, 0, 3, 4], [7, 9, 1, 3], [10, 6, 0, 3]]
    assert {array.dtype for array in (X, decoder, valid, y)} == {np.dtype(np.int32)}
    assert (data.kind, data.examples, data.held_out, data.name) == ("translation", 3, 1, "pairs")
    assert "train (3, 4) (3, 4) (3,), test (1, 4) (1, 4) (1,) of int32" in repr(data)


def test_long_sentences_are_cut_and_what_is_cut_off_is_not_counted():
    data = translation_data(read_pairs(TEXT), **SMALL | {"steps": 2})
    assert list(data.vocabs[0]) == [".", "<eos>", "<pad>", "<unk>", "?", "go", "i", "lost", "who"]
    assert data.train[0][0].tolist() == [[5, 0], [6, 7], [8, 4]] and data.train[0][2].tolist() == [2, 2, 2]


def test_rare_words_are_unknown_and_marks_never():
    data = translation_data(read_pairs(TEXT), **SMALL | {"min_freq": 2, "steps": 9})
    assert list(data.vocabs[0]) == [".", "<eos>", "<pad>", "<unk>", "go", "i"]
    once = translation_data(read_pairs(TEXT), 9, 1, 1, min_freq=9)
    assert list(once.vocabs[1]) == ["<bos>", "<eos>", "<pad>", "<unk>"]


def test_new_sentences_are_encoded_as_the_data_is():
    data = translation_data(read_pairs(TEXT), **SMALL)
    ids, valid = encode(["I lost.", "Go, go!"], data.vocabs[0], 5)
    assert ids.tolist() == [[7, 8, 1, 2, 3], [6, 4, 6, 0, 2]] and valid.tolist() == [4, 5]
    assert encode([], data.vocabs[0], 5)[0].shape == (0, 5)


@needs_real("text")
def test_english_french_is_the_books(monkeypatch: pytest.MonkeyPatch):
    """Facts of the specification: 641 pairs, vocabularies, special tokens, first rows."""
    monkeypatch.setenv("D2L_DATA", str(REAL))
    data = load("fra-eng")
    assert data.source == f"fra-eng.zip in {REAL / 'text'}" and load(kind="translation").name == "fra_eng"
    (X, decoder, valid), y = data.train
    assert X.shape == decoder.shape == y.shape == (512, 9) and valid.shape == (512,) and data.held_out == 129
    source, target = data.vocabs
    assert (len(source), len(target)) == (194, 214)
    assert [source[mark] for mark in ("<eos>", "<pad>", "<unk>")] == [3, 4, 5] and "<bos>" not in source
    assert [target[mark] for mark in ("<bos>", "<eos>", "<pad>", "<unk>")] == [3, 4, 5, 6]
    assert X[0].tolist() == [59, 2, 3, 4, 4, 4, 4, 4, 4]
    assert decoder[0].tolist() == [3, 201, 0, 4, 5, 5, 5, 5, 5]
    assert y[0].tolist() == [201, 0, 4, 5, 5, 5, 5, 5, 5]
    assert valid[:10].tolist() == [3] * 10 and max(valid.max(), data.test[0][2].max()) == 5
    labels = np.concatenate([y, data.test[1]])
    assert (labels != target["<pad>"]).sum(1).max() == 9 and (labels == target["<eos>"]).any(1).all()


@needs_real("text")
def test_more_pairs_of_english_and_french():
    pairs = read_pairs(load_raw("fra_eng", source=REAL), 3000)
    data = translation_data(pairs, steps=11, num_train=2500, num_val=500)
    assert data.train[0][0].shape == (2500, 11) and data.test[1].shape == (500, 11)
    assert len(data.vocabs[0]) > 194 and len(data.vocabs[1]) > 214


def test_embedded_pairs_are_shuffled_numbers_without_unknown_words(alone: object):
    data = load(kind="translation")
    assert data.name == "number_words" and data.source.startswith("embedded default (numbers from 1 to 999")
    assert (data.examples, data.held_out) == (512, 129) and data.train[0][0].shape == (512, 9)
    source, target = data.vocabs
    for (X, decoder, valid), y in (data.train, data.test):
        assert source.unk not in X and target.unk not in y and target.unk not in decoder
        assert (y == target["<eos>"]).any(1).all() and valid.min() > 1 and valid.max() < 9  # none is cut off
    words = [" ".join(row) for row in source.to_tokens(np.concatenate([data.train[0][0], data.test[0][0]]))]
    assert len(set(words)) == 641 and words != sorted(words)
    assert np.array_equal(load("number_words", seed=7).train[1], data.train[1])
    assert number_words(num_train=900, num_val=99).examples == 900


def test_embedded_pairs_say_the_same_number():
    data = number_words(num_train=998, num_val=1)
    sentences = zip(data.vocabs[0].to_tokens(data.train[0][0]), data.vocabs[1].to_tokens(data.train[1]))
    known = {" ".join(en).split(" <eos>")[0]: " ".join(fr).split(" <eos>")[0] for en, fr in sentences}
    assert known["seventy one"] == "soixante et onze" and known["two hundred"] == "deux cents"
    assert known["nine hundred and ninety nine"] == "neuf cent quatre vingt dix neuf"


BAD_LINES = {
    "no tab": ("Go.\tVa !\nHi. Salut.", "line 2 of the pairs must hold a sentence, a tab"),
    "no translation": ("Go.\t", "line 1 of the pairs"),
    "no sentence": ("\tVa !", "line 1 of the pairs"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_bad_lines(case: str):
    text, message = BAD_LINES[case]
    with pytest.raises(InputError, match=message):
        read_pairs(text)


BAD = {
    "too few pairs": (dict(num_val=2), "pairs has 4 pairs; 5 were asked for"),
    "negative pairs": (dict(num_train=-3), "-3 pairs to train"),
    "none to test on": (dict(num_val=0), "0 to test on"),
    "no steps": (dict(steps=0), "sentences of 0 steps are empty"),
    "negative frequency": (dict(min_freq=-1), "min_freq -1 is negative"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str):
    arguments, message = BAD[case]
    with pytest.raises(InputError, match=message):
        translation_data(read_pairs(TEXT), **SMALL | arguments)


def test_more_numbers_than_there_are():
    with pytest.raises(InputError, match="number_words has 999 pairs; 1000 were asked for"):
        number_words(num_train=999, num_val=1)
    with pytest.raises(InputError, match="-5 pairs to train"):
        number_words(num_train=-5)
