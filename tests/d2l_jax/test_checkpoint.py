"""Checkpoints: exact, whole or absent, and never trusted when damaged."""

import logging
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from d2l_jax import losses, optim, supervised
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.train import TrainState, checkpoint, make_train_step

TURNS = supervised(losses.cross_entropy, optim.AdamW(1e-3))
SETTINGS = {"model": "dropout-mlp", "lr": 0.001}


def fresh(name: str = "dropout-mlp", seed: int = 1) -> TrainState:
    return TrainState.create(get(name).build(seed), TURNS)


def trained() -> TrainState:
    """A state after one AdamW step: every slot and every dropout count differs from its start."""
    batch = {"input": jnp.ones((2, 28, 28, 1), jnp.float32), "targets": jnp.array([1, 2], jnp.int32)}
    return make_train_step(get("dropout-mlp").build(), TURNS)(fresh(seed=0), batch)[0]


def plain(leaf: jax.Array) -> np.ndarray:
    """The bits of an array or of a random key."""
    return np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def assert_same(left: object, right: object) -> None:
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right)):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(plain(a), plain(b))


@pytest.fixture(scope="module")
def state() -> TrainState:
    return trained()


@pytest.fixture
def folder(tmp_path: Path, state: TrainState) -> Path:
    """The checkpoints of epochs 1 and 2; in the first, the step is 0."""
    path = tmp_path / "checkpoints"
    checkpoint.save(path, 1, state._replace(step=jnp.zeros((), jnp.int32)), {"settings": SETTINGS})
    checkpoint.save(path, 2, state, {"settings": SETTINGS, "records": [1, 2]}, keep=[1])
    return path


def test_the_whole_state_comes_back_bit_for_bit(folder: Path, state: TrainState):
    restored = checkpoint.restore_last(folder, fresh(), SETTINGS)
    assert restored.epoch == 2 and restored.meta["records"] == [1, 2]
    assert_same(restored.state, state)


def test_what_a_killed_save_left_goes_with_the_next_one(folder: Path, state: TrainState):
    torn = folder / ".writing-abc" / "3"
    torn.mkdir(parents=True)
    (torn / "meta.json").write_text("{")
    checkpoint.save(folder, 3, state, {"settings": SETTINGS}, keep=[2])
    assert sorted(path.name for path in folder.iterdir()) == ["2", "3"]


def test_a_checkpoint_with_random_keys_of_their_own_type_comes_back(tmp_path: Path, state: TrainState, monkeypatch):
    """Written so before several processes could train: no note about random keys, keys as they are."""
    monkeypatch.setattr(checkpoint, "to_host", lambda tree: tree)
    monkeypatch.setattr(checkpoint, "KEYS", "another note")
    checkpoint.save(tmp_path, 1, state, {"settings": SETTINGS})
    monkeypatch.undo()
    assert checkpoint.KEYS not in checkpoint.read_meta(tmp_path / "1")
    assert_same(checkpoint.restore_last(tmp_path, fresh(), SETTINGS).state, state)


@pytest.mark.parametrize("name", ["mlp", "bn-lenet"])
def test_models_without_buffers_and_with_statistics_come_back(tmp_path: Path, name: str):
    saved = fresh(name, seed=0)
    checkpoint.save(tmp_path, 1, saved, {"settings": {}})
    assert_same(checkpoint.restore(tmp_path, 1, fresh(name)).state, saved)


def test_only_the_kept_epochs_stay(folder: Path, state: TrainState):
    for epoch in (3, 4):
        checkpoint.save(folder, epoch, state, {"settings": SETTINGS}, keep=[1, epoch - 1])
    assert checkpoint.epochs_in(folder) == [1, 3, 4]
    assert sorted(path.name for path in folder.iterdir()) == ["1", "3", "4"]


def test_a_checkpoint_can_be_written_again(folder: Path, state: TrainState):
    checkpoint.save(folder, 2, state, {"settings": SETTINGS, "records": []}, keep=[1])
    assert checkpoint.restore(folder, 2, state).meta["records"] == []


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)


@pytest.mark.parametrize("harm", [truncate, flip, Path.unlink], ids=["truncate", "flip", "delete"])
def test_harm_to_any_file_is_noticed(folder: Path, state: TrainState, harm: Callable[[Path], object]):
    files = [file for file in sorted((folder / "2").rglob("*")) if file.is_file() and file.stat().st_size]
    assert len(files) > 10
    for file in files:
        whole = file.read_bytes()
        harm(file)
        with pytest.raises(checkpoint.Damaged, match=f"{folder}/2 is damaged"):
            checkpoint.restore(folder, 2, state)
        file.write_bytes(whole)
    assert checkpoint.restore(folder, 2, state).epoch == 2


def test_the_one_before_a_damaged_one_is_taken(folder: Path, state: TrainState, caplog: pytest.LogCaptureFixture):
    flip(folder / "2" / checkpoint.META)
    with caplog.at_level(logging.WARNING):
        restored = checkpoint.restore_last(folder, state, SETTINGS)
    assert (restored.epoch, int(restored.state.step)) == (1, 0)
    (warning,) = caplog.messages
    assert f"{folder}/2 is damaged: meta.json was changed; going back to the one before" in warning


def test_nothing_good_is_an_error(folder: Path, state: TrainState, tmp_path: Path):
    with pytest.raises(InputError, match="no checkpoint to resume from"):
        checkpoint.restore_last(tmp_path / "empty", state, SETTINGS)
    for epoch in "12":
        (folder / epoch / checkpoint.META).unlink()
    with pytest.raises(InputError, match="only damaged checkpoints"):
        checkpoint.restore_last(folder, state, SETTINGS)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({**SETTINGS, "lr": 0.5}, "the setting 'lr' is 0.001 there and 0.5 here"),
        ({**SETTINGS, "momentum": 0.9}, "the setting 'momentum' is null there and 0.9 here"),
        ({"model": "dropout-mlp"}, "the setting 'lr' is 0.001 there and null here"),
    ],
)
def test_the_setting_that_differs_is_named(folder: Path, state: TrainState, settings: dict, said: str):
    with pytest.raises(InputError, match=said):
        checkpoint.restore_last(folder, state, settings)


def test_a_state_of_another_model_is_refused(folder: Path):
    with pytest.raises(InputError, match=r"the array 'params.*' is .* there and .* here"):
        checkpoint.restore(folder, 2, fresh("lenet"))


@pytest.mark.parametrize("where", [".", "checkpoints", "checkpoints/2"])
def test_parameters_load_into_a_fresh_model(folder: Path, state: TrainState, where: str):
    model = checkpoint.load_params(folder.parent / where, get("dropout-mlp").build(9))
    _, params, buffers = nnx.split(model, nnx.Param, ...)
    assert_same(nnx.to_pure_dict(params), state.params)
    assert_same(nnx.to_pure_dict(buffers), state.buffers)


def test_parameters_of_another_model_change_nothing(folder: Path, tmp_path: Path):
    model = get("lenet").build()
    before = jax.tree.map(jnp.copy, nnx.to_pure_dict(nnx.state(model)))
    with pytest.raises(InputError, match="does not fit"):
        checkpoint.load_params(folder, model)
    with pytest.raises(InputError, match="no good checkpoint"):
        checkpoint.load_params(tmp_path / "nowhere", model)
    assert_same(nnx.to_pure_dict(nnx.state(model)), before)


def test_a_failed_write_leaves_nothing(folder: Path, state: TrainState, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_json", full)
    with pytest.raises(InputError, match=r"cannot write .*/3: No space left on device"):
        checkpoint.save(folder, 3, state, {"settings": SETTINGS})
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]
