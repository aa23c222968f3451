"""Fine-tuning BERT on pairs of sentences by `d2l-jax train`, and `d2l-jax predict` for a pair (section 16.7)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from d2l_jax.catalog import get
from d2l_jax.data import Vocab
from d2l_jax.data.text.bert_pairs import encode_pairs, for_bert, trimmed
from d2l_jax.data.text.drawn_sentences import drawn_pairs
from d2l_jax.data.text.masked import RESERVED
from d2l_jax.errors import InputError
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.predict import predict
from d2l_jax.runs.run import Job, train

SMALL = {"num_hiddens": 8, "ffn_num_hiddens": 6, "num_blks": 1, "max_len": 128, "dropout": 0.0}


def test_the_longer_side_is_trimmed_and_of_equal_ones_the_second():
    assert trimmed(list("abcdef"), list("xy"), 5) == (list("abc"), list("xy"))
    assert trimmed(list("abc"), list("xyz"), 5) == (list("abc"), list("xy"))
    assert trimmed(["a"], ["x"], 5) == (["a"], ["x"])


def test_pairs_are_joined_in_lower_case_and_padded():
    vocab = Vocab([["a", "b", "c"]], 0, RESERVED)
    tokens, segments, lengths = encode_pairs([(["A", "b"], ["c"]), (["a"] * 9, ["b"] * 9), ([], [])], vocab, 8)
    assert vocab.to_tokens(tokens[0]) == ["<cls>", "a", "b", "<sep>", "c", "<sep>", "<pad>", "<pad>"]
    assert segments[0].tolist() == [0, 0, 0, 0, 1, 1, 0, 0] and lengths.tolist() == [6, 8, 3]
    with pytest.raises(InputError, match="pairs of 4 tokens hold no words"):
        encode_pairs([], vocab, 4)


def test_the_data_of_inference_becomes_berts():
    pairs = drawn_pairs(48, 16, corrected=True)
    data = for_bert(pairs, "pairs", 24)
    (premises, hypotheses), labels = pairs.train
    np.testing.assert_array_equal(data.train[1], labels)
    counts = [(side != pairs.vocabs[0]["<pad>"]).sum(1) for side in (premises, hypotheses)]
    np.testing.assert_array_equal(data.train[0][2], counts[0] + counts[1] + 3)
    assert set(pairs.vocabs[0]) | set(RESERVED) == set(data.vocabs[0])


def test_a_run_labels_pairs_and_answers_them(tmp_path: Path):
    data = for_bert(drawn_pairs(48, 16, corrected=True), "pairs", 24)
    case = get("snli-bert").of_batch_size(16)
    case = fitted(replace(case, args=case.args | SMALL, epochs=1), data)
    metrics = train(Job(case, data, tmp_path)).metrics
    assert {"test_loss", "test_accuracy"} < set(metrics["final"]) and len(metrics["texts"]) == 8
    assert "<sep>" in (tmp_path / "predictions.txt").read_text()
    (line,) = predict(tmp_path, ["the girl buys a hat . <sep> the girl buys a red hat ."])
    assert all(f"{label} 0." in line for label in ("entailment", "contradiction", "neutral"))
    for text in ("one sentence", "<sep> b", "a <sep> b <sep> c"):
        with pytest.raises(InputError, match="is no pair; .* <sep> .* is right"):
            predict(tmp_path, [text])
