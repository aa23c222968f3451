"""Runs on reviews and pairs of sentences: word vectors, pictures, and answers to texts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_runs import assert_same_run

from d2l_jax.catalog import get
from d2l_jax.data import TokenEmbedding, drawn_pairs, drawn_reviews
from d2l_jax.errors import InputError
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.load import load
from d2l_jax.runs.predict import predict
from d2l_jax.runs.run import Job, train
from d2l_jax.runs.sentences import confusion, with_vectors
from d2l_jax.weights.state_dict import state_dict

VECTORS = TokenEmbedding(["car", "red", "film"], np.arange(18).reshape(3, 6) / 9)


def small(name: str, args: dict, out: Path, epochs: int = 1, *, resume: bool = False) -> Job:
    data = drawn_pairs(96, 24) if name.startswith("snli") else drawn_reviews(64, 24, 12)
    case = replace(get(name).of_batch_size(16), epochs=epochs)
    case = fitted(replace(case, args=case.args | args), data)
    return Job(with_vectors(case, data, VECTORS), data, out, resume=resume)


def trained(name: str, args: dict, out: Path) -> Path:
    train(small(name, args, out))
    return out


def test_classes_are_counted_by_true_and_predicted():
    scores = np.array([[3, 0.0], [0, 1], [0, 1], [0, 1]])
    assert confusion(np.array([0, 0, 1, 1]), scores).tolist() == [[1, 1], [0, 2]]


@pytest.mark.slow
def test_a_run_on_reviews_keeps_the_frozen_vectors_and_answers_texts(tmp_path: Path):
    run = trained("sentiment-cnn", {"num_channels": (3, 3, 3)}, tmp_path)
    assert {"curves.png", "predictions.png", "vocab.json", "metrics.json"} <= {path.name for path in run.iterdir()}
    weights = state_dict(load(run))
    assert weights["constant_embedding.weight"].shape[1] == 6
    moved = weights["embedding.weight"] != weights["constant_embedding.weight"]
    assert moved.any() and np.isin(weights["constant_embedding.weight"], VECTORS.idx_to_vec).all()
    lines = predict(run, ["so great", "so bad"])
    assert [line.split(" -> ")[0] for line in lines] == ["so great", "so bad"]
    assert all(line.split(" -> ")[1].split()[0] in ("positive", "negative") for line in lines)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compilation")
def test_an_epoch_and_one_more_are_two_beside_frozen_vectors(tmp_path: Path):
    args = {"num_channels": (3, 3, 3)}
    straight = small("sentiment-cnn", args, tmp_path / "straight", 2)
    train(straight)
    train(small("sentiment-cnn", args, tmp_path / "parts"))
    train(small("sentiment-cnn", args, tmp_path / "parts", 2, resume=True))
    assert_same_run(tmp_path / "straight", tmp_path / "parts", 2, straight.case)


@pytest.mark.slow
def test_a_run_on_pairs_draws_its_attention_and_answers_pairs(tmp_path: Path):
    run = trained("snli-attention-masked", {"num_hiddens": 5, "num_inputs_agg": 10}, tmp_path)
    assert (run / "attention.png").is_file()
    (line,) = predict(run, ["the girl buys a red car . <sep> the girl buys a car ."])
    assert line.split(" -> ")[1].split()[0] in ("entailment", "contradiction", "neutral")
    for text in ("one sentence", "<sep> b", "a <sep> b <sep> c"):
        with pytest.raises(InputError, match="is no pair"):
            predict(run, [text])
