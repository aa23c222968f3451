"""Merges of symbols and numbers of words that a library of tokenizers gives."""

import json

import pytest

from d2l_jax.data.text.bpe import learn_bpe

tokenizers = pytest.importorskip("tokenizers")


def test_pairs_that_are_as_frequent():
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=6, show_progress=False)
    tokenizer.train_from_iterator(["zx", "ab"], trainer)
    assert json.loads(tokenizer.to_str())["model"]["merges"] == [["a", "b"], ["z", "x"]]
    assert learn_bpe({"zx": 1, "ab": 1}, 2).merges == (("z", "x"), ("a", "b"))


def number(vocab: dict[str, int]) -> int:
    """Returns the number of an added token that says it is 7."""
    flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False) | {"special": True}
    model = {"type": "WordLevel", "vocab": vocab, "unk_token": "a"}
    whole = {"version": "1.0", "added_tokens": [{"id": 7, "content": "<pad>"} | flags], "model": model}
    return tokenizers.Tokenizer.from_str(json.dumps(whole)).token_to_id("<pad>")


def test_the_number_of_an_added_token():
    assert number({"a": 0, "b": 1}) == 2
    assert number({"a": 0, "b": 1, "<pad>": 7}) == 7
