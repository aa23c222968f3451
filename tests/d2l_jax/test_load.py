"""The model that a run left, out of its folder, in either framework."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file
from small_runs import small

import d2l_jax
from d2l_jax import eval_view, functional
from d2l_jax.catalog import get
from d2l_jax.data import Dataset
from d2l_jax.errors import InputError
from d2l_jax.runs.fitting import fitted
from d2l_jax.runs.learner import JaxLearner
from d2l_jax.runs.run import Job, train
from d2l_jax.train.checkpoint import FOLDER, restore
from d2l_jax.weights.file import NAME
from d2l_jax.weights.state_dict import state_dict


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "dropout-mlp"
    train(small("dropout-mlp", out))
    return out


def same(left: dict, right: dict) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[key], right[key]) for key in left)


def test_a_run_loads(run: Path):
    model = d2l_jax.load(str(run))
    state = restore(run / FOLDER, 2, JaxLearner(get("dropout-mlp"), 0).state).state
    params = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    jax.tree.map(np.testing.assert_array_equal, params, state.params)
    assert same(state_dict(model), load_file(run / NAME))


def test_a_loaded_model_predicts_as_the_run_did(run: Path):
    apply, params, buffers = functional(eval_view(d2l_jax.load(run)))
    X = jnp.linspace(0, 1, 2 * 784, dtype=jnp.float32).reshape(2, 28, 28, 1)
    learner = JaxLearner(get("dropout-mlp"), 0)
    learner.state = restore(run / FOLDER, 2, learner.state).state
    np.testing.assert_allclose(apply(params, buffers, X)[0], learner.predict(np.asarray(X)), rtol=1e-5)


def test_a_checkpoint_loads_and_is_of_its_epoch(run: Path):
    first, last = (state_dict(d2l_jax.load(run / FOLDER / str(epoch))) for epoch in (1, 2))
    assert same(last, load_file(run / NAME)) and not same(first, last)


def test_the_weights_alone_are_enough(run: Path, tmp_path: Path):
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / FOLDER)
    assert same(state_dict(d2l_jax.load(tmp_path / "run")), load_file(run / NAME))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet", "bn-lenet"])
def test_pytorchs_run_loads(tmp_path: Path, name: str):
    torch = pytest.importorskip("torch")
    train(small(name, tmp_path, 1, framework="torch"))
    theirs = torch.load(tmp_path / "model.pt", weights_only=True)
    assert same(state_dict(d2l_jax.load(tmp_path)), {key: value.numpy() for key, value in theirs.items()})


def test_pytorch_reads_what_a_run_of_jax_left(run: Path):
    pytest.importorskip("torch")
    from safetensors.torch import load_file as load_tensors

    from parity.twin.torch_side import torch_side

    twin = torch_side(get("dropout-mlp")).model
    twin.load_state_dict(load_tensors(run / NAME))
    assert same(state_dict(d2l_jax.load(run)), {key: value.numpy() for key, value in twin.state_dict().items()})


@pytest.mark.slow
def test_a_run_on_a_table_of_other_width_has_a_model_of_that_width(tmp_path: Path):
    random = np.random.default_rng(0)
    X, y = (random.normal(size=(40, width)).astype(np.float32) for width in (7, 1))
    data = Dataset("table", (X, y), (X, y), "drawn")
    case = fitted(replace(get("houses"), epochs=1).of_batch_size(8), data)
    train(Job(case, data, tmp_path))
    loaded = state_dict(d2l_jax.load(tmp_path))
    assert same(loaded, load_file(tmp_path / NAME)) and loaded["net.weight"].shape == (1, 7)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    metrics["settings"]["args"]["in_features"] = 330
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(InputError, match="does not fit"):  # control: the width of the run is what counts
        d2l_jax.load(tmp_path)


def test_a_run_of_several_folds_names_one(run: Path, tmp_path: Path):
    shutil.copy(run / "metrics.json", tmp_path)
    shutil.copytree(run, tmp_path / "fold-0")
    with pytest.raises(InputError, match="holds a model of each fold; name one, .*fold-0"):
        d2l_jax.load(tmp_path)
    assert same(state_dict(d2l_jax.load(tmp_path / "fold-0")), load_file(run / NAME))


@pytest.mark.parametrize(
    "content, reason",
    [
        (None, "no such run"),
        ("", "is no run of .d2l-jax train.; parity.load_state_dict"),
        ("{", "is damaged"),
        ("{}", "is damaged"),
    ],
)
def test_what_is_no_run_is_one_clear_line(tmp_path: Path, content: str | None, reason: str):
    path = tmp_path / "run"
    if content is not None:
        path.mkdir()
    if content:
        (path / "metrics.json").write_text(content)
    with pytest.raises(InputError, match=reason):
        d2l_jax.load(path)


def test_damaged_weights_are_one_clear_line(run: Path, tmp_path: Path):
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / FOLDER)
    (tmp_path / "run" / NAME).write_bytes(b"12345678")
    with pytest.raises(InputError, match="cannot read the weights of .*weights.safetensors: it is damaged"):
        d2l_jax.load(tmp_path / "run")
