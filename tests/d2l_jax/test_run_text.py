"""Training on text and on pairs of sentences: perplexities, samples, pictures, resuming, and the PyTorch twin."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sampled import sampled

from d2l_jax.catalog import get
from d2l_jax.data import Dataset, load
from d2l_jax.data.text.number_words import number_words
from d2l_jax.data.text.topics import topics
from d2l_jax.errors import InputError
from d2l_jax.runs.choice import choose_data
from d2l_jax.runs.finished import read_vocabs
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.plot import compare_curves
from d2l_jax.runs.predict import predict
from d2l_jax.runs.run import Job, RunResult, train

PNG = b"\x89PNG\r\n"


def text() -> Dataset:
    return topics(steps=8, num_train=96, num_val=40)


def pairs() -> Dataset:
    return number_words(num_train=48, num_val=16)


SMALL: dict[str, tuple[Any, dict[str, Any]]] = {
    "gru-lm": (text, {"num_hiddens": 8}),
    "bahdanau": (pairs, {"embed_size": 6, "num_hiddens": 8, "num_layers": 2}),
    "transformer": (pairs, {"num_hiddens": 8, "ffn_num_hiddens": 6, "num_heads": 2, "num_blks": 1}),
}


def small(name: str, out: Path, epochs: int = 2, **settings: Any) -> Job:
    make, args = SMALL[name]
    data = make()
    case = get(name).of_batch_size(16)
    case = replace(case, args=case.args | args, epochs=epochs)
    return Job(fitted(case, data), data, out, **settings)


def records(out: Path) -> list[dict[str, float]]:
    return json.loads((out / "metrics.json").read_text())["records"]


def without_dropout(job: Job) -> Job:
    args = job.case.args | ({} if job.data.kind == "text" else {"dropout": 0.0})
    return job._replace(case=replace(job.case, args=args))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, RunResult]]:
    """Trains a model once for all who look at its run; without dropout, so that the twin can learn alike."""

    @cache
    def run(name: str) -> tuple[Path, RunResult]:
        out = tmp_path_factory.mktemp(name)
        return out, train(without_dropout(small(name, out)))

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_the_folder_holds_what_is_promised(name: str, trained):
    out, result = trained(name)
    names = {path.name for path in out.iterdir()}
    attends = {"attention.png"} if name != "gru-lm" else set()
    assert (
        names
        == {
            "metrics.json",
            "curves.png",
            "predictions.txt",
            "vocab.json",
            "weights.safetensors",
            "checkpoints",
        }
        | attends
    )
    assert all((out / picture).read_bytes().startswith(PNG) for picture in {"curves.png"} | attends)
    assert (out / "predictions.txt").read_text().count("\n") == len(result.metrics["texts"]) >= 2
    for record in result.metrics["records"]:
        assert record["test_perplexity"] == math.exp(record["test_loss"])
        assert not any("accuracy" in key for key in record)


@pytest.mark.slow
def test_samples_are_continuations_or_translations_with_their_bleu(trained):
    for sample in trained("gru-lm")[1].metrics["texts"]:
        assert sample["made"].startswith(sample["given"]) and len(sample["made"]) == len(sample["given"]) + 20
        assert sample["bleu"] is None
    data = pairs()
    for sample in trained("bahdanau")[1].metrics["texts"]:
        assert sample["wanted"] and 0 <= sample["bleu"] <= 1
        assert all(word in data.vocabs[0] for word in sample["given"].split())


def test_a_finished_run_translates(trained):
    run, _ = trained("bahdanau")
    (line,) = predict(run, ["two hundred and six"])
    assert line.startswith("two hundred and six -> ")
    assert [len(vocab) for vocab in read_vocabs(run)] == list(map(len, pairs().vocabs))


@pytest.mark.parametrize(
    "name",
    ["gru-lm", pytest.param("bahdanau", marks=pytest.mark.slow), pytest.param("transformer", marks=pytest.mark.slow)],
)
def test_two_epochs_and_one_more_are_three(name: str, tmp_path: Path):
    train(small(name, tmp_path / "straight", 3))
    train(small(name, tmp_path / "parts", 2))
    train(small(name, tmp_path / "parts", 3, resume=True))
    assert records(tmp_path / "straight") == records(tmp_path / "parts")


@pytest.mark.parametrize("name", sampled(SMALL, 3))
def test_the_twin_learns_alike(name: str, trained, tmp_path: Path):
    out, ours = trained(name)
    theirs = train(without_dropout(small(name, tmp_path / "torch", framework="torch")))
    for left, right in zip(ours.metrics["records"], theirs.metrics["records"], strict=True):
        np.testing.assert_allclose(left["train_loss"], right["train_loss"], rtol=1e-4)
        np.testing.assert_allclose(left["test_loss"], right["test_loss"], rtol=1e-4)
    assert ours.metrics["texts"] == theirs.metrics["texts"]
    compare_curves([out, tmp_path / "torch"], tmp_path / "both.png")
    assert (tmp_path / "both.png").read_bytes().startswith(PNG)


def test_control_another_clipping_trains_otherwise(trained, tmp_path: Path):
    job = small("gru-lm", tmp_path)
    other = train(job._replace(case=job.case.with_turn(clip=1e-2)))
    assert trained("gru-lm")[1].metrics["records"] != other.metrics["records"]


def test_a_model_is_made_for_the_vocabularies_of_its_data():
    data = pairs()
    case = fitted(get("seq2seq").of_batch_size(16), data)
    assert (case.args["src_vocab"], case.args["tgt_vocab"]) == tuple(map(len, data.vocabs))
    assert (
        case.objective.loss.keywords["pad"] == data.vocabs[1]["<pad>"] != get("seq2seq").objective.loss.keywords["pad"]
    )
    assert fitted(get("rnn-lm").of_batch_size(16), text()).args["vocab_size"] == len(text().vocabs[0])


@pytest.mark.parametrize(
    "name, data, said",
    [
        ("rnn-lm", "number_words", "rnn-lm learns labels from text; number_words has labels for pairs of sentences"),
        ("seq2seq", "digits", "seq2seq learns labels from pairs of sentences; digits has labels for images"),
        ("lenet", "topics", "lenet learns labels from images; topics has labels for text"),
    ],
)
def test_data_of_another_kind_is_refused(name: str, data: str, said: str):
    with pytest.raises(InputError, match=said):
        fitted(get(name), load(data))


@pytest.mark.parametrize("name, default", [("lstm-lm", "topics"), ("transformer", "number_words")])
def test_without_the_real_data_the_embedded_is_taken(name, default, monkeypatch, tmp_path, caplog):
    monkeypatch.delenv("D2L_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert choose_data(get(name)).name == default
    assert f"training on {default} instead" in caplog.text
