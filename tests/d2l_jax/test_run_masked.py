"""Pretraining BERT by `d2l-jax train`: figures of both losses, guesses, the PyTorch twin, and `d2l-jax predict`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from d2l_jax.catalog import get
from d2l_jax.data import load
from d2l_jax.data.text.pretraining import pretraining_data
from d2l_jax.errors import InputError
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.folds import unanswered
from d2l_jax.runs.predict import predict
from d2l_jax.runs.run import Job, train

SMALL = {"num_hiddens": 8, "ffn_num_hiddens": 6, "num_blks": 1, "max_len": 64, "dropout": 0.0}
TOPICS = ("rain", "snow", "wind", "fog")
TEXT = [
    [["the", word, "came", "at", str(i % 3)], ["so", "the", word, "went"], ["it", "ends"]]
    for i in range(20)
    for word in TOPICS
]


def small(out: Path, **settings) -> Job:
    data = pretraining_data(TEXT[:64], TEXT[64:], 16, 1)
    case = get("bert-wikitext2").of_batch_size(16)
    case = fitted(replace(case, args=case.args | SMALL, epochs=2), data)
    return Job(case, data, out, **settings)


@pytest.mark.slow
def test_both_losses_are_recorded_guesses_shown_and_texts_answered(tmp_path: Path):
    assert not unanswered(small(tmp_path).data)
    result = train(small(tmp_path))
    for record in result.metrics["records"]:
        assert record["test_loss"] == pytest.approx(record["test_mlm_loss"] + record["test_nsp_loss"], rel=1e-6)
    lines = (tmp_path / "predictions.txt").read_text().splitlines()
    assert len(lines) == 5 and all(line.startswith("<cls> ") and " (" in line.split(" -> ")[1] for line in lines)
    masked, pair = predict(tmp_path, ["the <mask> came", "The rain came at 1 <sep> so the rain <mask>"])
    assert masked.startswith("the <mask> came -> ") and masked.count(", ") == 4 and "next" not in masked
    assert pair.count(", ") == 4 and "; next sentence 0." in pair
    for text, wrong in (
        ("the rain", "has 0 <sep> and no <mask>; a <mask>, or one <sep>, is right"),
        ("a <sep> b <sep> c", "has 2 <sep>"),
        ("<mask> " * 63, "has 65 tokens with <cls> and <sep>; 64 or fewer are right"),
    ):
        with pytest.raises(InputError, match=wrong):
            predict(tmp_path, [text])


@pytest.mark.slow
def test_pytorch_trains_on_the_same_batches(tmp_path: Path):
    ours = train(small(tmp_path / "jax")).metrics["records"]
    theirs = train(small(tmp_path / "torch", framework="torch")).metrics["records"]
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=2e-3)
    assert json.loads((tmp_path / "torch" / "metrics.json").read_text())["framework"] == "torch"


def test_other_data_is_refused():
    with pytest.raises(
        InputError, match="learns numbers from sentences with masked words; digits has labels for images"
    ):
        fitted(get("bert-wikitext2"), load("digits"))
    with pytest.raises(InputError, match="lenet learns labels from images"):
        fitted(get("lenet"), pretraining_data(TEXT[:64], TEXT[64:], 16, 1))
