"""Training runs: files, resuming bit for bit, divergence, folds, and the PyTorch twin beside them."""

import json
import logging
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import assert_same_run, run_program, small

from d2l_jax import optim, supervised
from d2l_jax.catalog import get
from d2l_jax.data import Dataset, load
from d2l_jax.errors import InputError
from d2l_jax.metrics import LABELS, measured
from d2l_jax.runs import training
from d2l_jax.runs.folds import cross_validate, unanswered
from d2l_jax.runs.options import Options
from d2l_jax.runs.plot import compare_curves
from d2l_jax.runs.run import Job, Listener, train
from d2l_jax.train import Event, TrainingDiverged, TrainState, make_train_step
from d2l_jax.train.checkpoint import FOLDER, epochs_in

PNG = b"\x89PNG\r\n"


def test_two_epochs_and_two_more_are_four(tmp_path: Path):
    train(small("dropout-mlp", tmp_path / "straight", 4))
    train(small("dropout-mlp", tmp_path / "parts", 2))
    train(small("dropout-mlp", tmp_path / "parts", 4, resume=True))
    assert_same_run(tmp_path / "straight", tmp_path / "parts", 4, get("dropout-mlp"))
    assert epochs_in(tmp_path / "parts" / FOLDER)[-2:] == [3, 4]


def test_a_killed_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path):
    killed = str(tmp_path / "killed")
    straight = str(tmp_path / "straight")
    assert run_program(True, (killed, False)) == -signal.SIGKILL
    assert epochs_in(Path(killed, FOLDER)) == [1, 2]
    assert run_program(False, (killed, True), (straight, False)) == 0
    assert_same_run(Path(killed), Path(straight), 4, get("dropout-mlp"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished")
    result = train(small("softmax", out))
    assert json.loads((out / "metrics.json").read_text()) == result.metrics
    return out


def test_the_folder_holds_what_is_promised(finished: Path):
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["parameters"] == 7850 and metrics["settings"]["lr"] == 0.1
    assert metrics["data"]["source"].startswith("embedded default") and metrics["precision"] == "float32"
    assert {"python", "jax", "flax", "optax", "numpy"} <= metrics["versions"].keys()
    assert [record["epoch"] for record in metrics["records"]] == [1, 2]
    assert metrics["best"] in metrics["records"] and metrics["final"] == metrics["records"][-1]
    assert len(metrics["seconds"]["epochs"]) == 2
    files = {"metrics.json", "curves.png", "predictions.png", "weights.safetensors", FOLDER}
    assert {path.name for path in finished.iterdir()} == files
    assert all((finished / name).read_bytes().startswith(PNG) for name in ("curves.png", "predictions.png"))


def test_whoever_reads_the_metrics_reads_the_weights(finished: Path):
    modes = {(finished / name).stat().st_mode for name in ("metrics.json", "weights.safetensors")}
    assert len(modes) == 1


def test_a_regression_has_no_accuracy(tmp_path: Path):
    metrics = train(small("linear-regression-scratch", tmp_path)).metrics
    assert metrics["final"].keys() == {"epoch", "train_loss", "test_loss"}
    assert (tmp_path / "predictions.png").read_bytes().startswith(PNG)


def test_a_finished_run_resumes_to_nothing(finished: Path, tmp_path: Path):
    out = shutil.copytree(finished, tmp_path / "again")
    (out / "curves.png").unlink()
    assert train(small("softmax", out, resume=True)).metrics == json.loads((finished / "metrics.json").read_text())
    assert (out / "curves.png").exists()


def other_batch(job: Job) -> Job:
    return job._replace(case=replace(job.case, inputs=(16, 28, 28, 1)))


def other_lr(job: Job) -> Job:
    return job._replace(case=job.case.with_turn(optimizer=partial(optim.SGD, lr=0.5)))


def other_optimizer(job: Job) -> Job:
    return job._replace(case=job.case.with_turn(optimizer=partial(optim.Adam, lr=0.1)))


def other_data(job: Job) -> Job:
    X, y = job.data.train
    return job._replace(data=replace(job.data, train=(X[::-1], y[::-1])))


def other_model(job: Job) -> Job:
    return job._replace(case=replace(get("mlp"), inputs=(32, 28, 28, 1)))


OTHERS = [
    (lambda job: job._replace(seed=1), "'seed' is 0 there and 1 here"),
    (other_batch, "'batch_size' is 32 there and 16 here"),
    (other_lr, "'lr' is 0.1 there and 0.5 here"),
    (other_optimizer, '\'optimizer\' is "SGD" there and "Adam" here'),
    (other_data, "'data_crc32'"),
    (other_model, '\'model\' is "softmax" there and "mlp" here'),
    (lambda job: job._replace(resume=False), "holds a run already; continue it with --resume, or give another --out"),
    (lambda job: job._replace(case=replace(job.case, epochs=1)), "has 2 epochs already, more than --epochs 1"),
    (lambda job: job._replace(out=job.out / "new"), "holds no checkpoint to resume from"),
]


@pytest.mark.parametrize(("change", "said"), OTHERS)
def test_a_run_goes_on_only_under_its_own_settings(finished: Path, change: Callable[[Job], Job], said: str):
    before = (finished / "metrics.json").read_bytes()
    with pytest.raises(InputError) as caught:
        train(change(small("softmax", finished, resume=True)))
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert (finished / "metrics.json").read_bytes() == before


def test_a_folder_that_holds_a_run_is_refused_before_data_is_read(finished: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, "choose_data", lambda *_: pytest.fail("read data"))
    with pytest.raises(InputError, match="holds a run already; continue it with --resume, or give another --out"):
        training.trained(Options("softmax", data="digits", out=finished), Listener())


def test_divergence_names_the_step_and_the_last_good_checkpoint(tmp_path: Path):
    job = small("softmax-scratch", tmp_path)  # 6 batches an epoch; exp overflows at such weights
    optimizer = partial(optim.SGD, lr=lambda count: jnp.where(jnp.asarray(count) < 7, 0.1, 1e30))
    with pytest.raises(TrainingDiverged, match=r"epoch 2, step 9; lower --lr \(the last good checkpoint is .*/1\)"):
        train(job._replace(case=job.case.with_turn(optimizer=optimizer)))
    assert epochs_in(tmp_path / FOLDER) == [1]
    assert len(json.loads((tmp_path / "metrics.json").read_text())["records"]) == 1


def test_nothing_is_compiled_after_the_first_epoch(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    compiled = {}

    class Count(Listener):
        def event(self, event: Event) -> None:
            if event.means is not None:
                lines = [record.message for record in caplog.records if "XLA compilation of jit" in record.message]
                compiled[event.epoch] = len([line for line in lines if "epoch" in line or "evaluation" in line])

    job = small("softmax", tmp_path, 4)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        train(job._replace(case=replace(job.case, inputs=(50, 28, 28, 1))), Count())
    # the full batches and the smaller last one, in training; one size in evaluation
    assert compiled == {1: 3, 2: 3, 3: 3, 4: 3}


@pytest.mark.parametrize("name", ["softmax", "dropout-mlp"])
def test_the_step_takes_over_the_memory_of_its_state(name: str):
    case = get(name)
    model = case.build()
    turns = supervised(case.objective.loss, optim.AdamW(1e-3))
    old = TrainState.create(model, turns)
    batch = {"input": jnp.zeros((2, 28, 28, 1), jnp.uint8), "targets": jnp.zeros(2, jnp.int32)}
    new, _ = make_train_step(model, turns)(old, batch)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves((old.params, old.opt_state)))
    assert [leaf.dtype for leaf in jax.tree.leaves(new)] == [leaf.dtype for leaf in jax.tree.leaves(old)]


def test_right_labels_are_those_of_argmax():
    random = np.random.default_rng(0)
    outputs = random.integers(0, 4, (500, 2, 5)).astype(np.float32)  # with many ties, of which the first counts
    labels = random.integers(-1, 6, (500, 2))  # with some that are no class
    tensors = {"output": jnp.asarray(outputs), "targets": jnp.asarray(labels)}
    counted, labels_in_all = measured(LABELS, tensors)["accuracy"]
    assert counted == np.sum(outputs.argmax(-1) == labels) > 100 and labels_in_all == labels.size


def test_whole_numbers_that_are_no_labels_are_not_counted():
    numbers = jnp.zeros((3, 1), jnp.int32)
    assert measured(LABELS, {"output": jnp.zeros((3, 1)), "targets": numbers}) == {}


def houses(rows: int = 60) -> Dataset:
    """A table whose test answers are unknown, as Kaggle's are."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 330), np.float32)
    y = rng.standard_normal((rows, 1), np.float32)
    return Dataset("houses", (X, y), (X, np.full_like(y, np.nan)), "drawn")


@pytest.mark.slow
def test_cross_validation_reports_the_mean_over_the_folds(tmp_path: Path):
    data = houses()
    assert unanswered(data) and not unanswered(load("synthetic"))
    job = Job(replace(get("houses"), inputs=(16, 330), epochs=2), data, tmp_path)
    metrics = cross_validate(job).metrics
    assert len(metrics["folds"]) == 5
    assert metrics["final"]["test_loss"] == pytest.approx(np.mean([fold["test_loss"] for fold in metrics["folds"]]))
    assert (tmp_path / "fold-4" / "metrics.json").exists() and (tmp_path / "curves.png").exists()
    assert cross_validate(job._replace(resume=True)).metrics["records"] == metrics["records"]
    with pytest.raises(InputError, match="holds a run already"):
        cross_validate(job)


@pytest.mark.parametrize(
    "name", [pytest.param("lenet", marks=pytest.mark.slow), "weight-decay", "weight-decay-scratch", "two-hidden-mlp"]
)
def test_pytorch_has_the_same_curves(tmp_path: Path, name: str):
    pytest.importorskip("torch")
    runs = [train(small(name, tmp_path / side, framework=side)).metrics for side in ("jax", "torch")]
    ours, theirs = ([list(record.values()) for record in run["records"]] for run in runs)
    np.testing.assert_allclose(ours, theirs, rtol=2e-4)
    assert runs[0].keys() == runs[1].keys() and "torch" in runs[1]["versions"]
    assert (tmp_path / "torch" / "model.pt").exists()
    compare_curves([tmp_path / "jax", tmp_path / "torch"], tmp_path / "both.png")
    assert (tmp_path / "both.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("name", ["dropout-mlp", pytest.param("scheduled-lenet-cosine", marks=pytest.mark.slow)])
def test_a_resumed_twin_ends_as_if_never_stopped(tmp_path: Path, name: str):
    torch = pytest.importorskip("torch")
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    train(small(name, stopped, 1, framework="torch"))
    resumed = train(small(name, stopped, 2, framework="torch", resume=True)).metrics
    assert resumed["records"] == train(small(name, whole, 2, framework="torch")).metrics["records"]
    weights = [torch.load(folder / "model.pt") for folder in (stopped, whole)]
    assert all(torch.equal(tensor, weights[1][key]) for key, tensor in weights[0].items())


def test_a_twin_that_cannot_be_resumed_is_refused(tmp_path: Path):
    pytest.importorskip("torch")
    train(small("softmax", tmp_path, 1, framework="torch"))
    again = small("softmax", tmp_path, framework="torch", resume=True)
    with pytest.raises(InputError, match="training.pt does not fit: the setting 'seed' is 0 there and 1 here"):
        train(again._replace(seed=1))
    (tmp_path / "training.pt").write_bytes(b"cut")
    with pytest.raises(InputError, match="training.pt is damaged"):
        train(again)
    (tmp_path / "training.pt").unlink()
    with pytest.raises(InputError, match="holds no training.pt to resume from"):
        train(again)
