"""`d2l-jax predict`: a trained model answers texts."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from d2l_jax.catalog import get
from d2l_jax.cli import main
from d2l_jax.data import Vocab
from d2l_jax.data.text.topics import topics
from d2l_jax.errors import InputError
from d2l_jax.runs.finished import VOCABS
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.predict import predict
from d2l_jax.runs.run import Job, train


def trained(out: Path) -> Path:
    data = topics(steps=8, num_train=96, num_val=40)
    case = get("gru-lm").of_batch_size(16)
    train(Job(fitted(replace(case, args=case.args | {"num_hiddens": 8}, epochs=1), data), data, out))
    return out


@pytest.mark.slow
def test_a_text_is_continued_as_at_the_end_of_training(tmp_path: Path, capsys: pytest.CaptureFixture):
    run = trained(tmp_path / "run")
    main(["predict", str(run), "It has", "time"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] in (run / "predictions.txt").read_text().splitlines()
    assert lines[1].startswith("time -> time") and len(lines) == 2
    assert predict(run / "checkpoints" / "1", ["it has"]) == lines[:1]
    for texts, wrong in (((), "needs a text"), (("it has", " "), "is not empty"), (("123",), "letters from a to z")):
        with pytest.raises(InputError, match=wrong):
            predict(run, texts)
    (run / VOCABS).write_text("[[1, 2]]")
    with pytest.raises(InputError, match="a list of texts"):
        predict(run, ["it has"])
    (run / VOCABS).write_text("[]")
    with pytest.raises(InputError, match="vocab.json is damaged .it is empty.; train the model again"):
        predict(run, ["it has"])
    (run / VOCABS).write_text("[[")
    with pytest.raises(InputError, match="vocab.json is damaged"):
        predict(run, ["it has"])
    (run / VOCABS).unlink()
    with pytest.raises(InputError, match="holds no vocab.json"):
        predict(run, ["it has"])


def test_a_model_of_images_takes_no_texts(tmp_path: Path):
    settings = {"settings": {"model": "lenet", "args": {}}}
    (tmp_path / "metrics.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="lenet takes no texts"):
        predict(tmp_path, ["it has"])
    with pytest.raises(InputError, match="no such run"):
        predict(tmp_path / "nowhere", ["it has"])


def test_a_vocabulary_in_an_order_of_its_own():
    vocab = Vocab.in_order(["<unk>", "b", "a", "<unk>"])
    assert (vocab["b"], vocab["a"], vocab["z"], vocab.unk, len(vocab)) == (1, 2, 3, 3, 4)
    assert Vocab.in_order(list(Vocab("cab"))) == Vocab("cab")
    with pytest.raises(InputError, match="<unk> among them"):
        Vocab.in_order(["a"])
