"""Weight files and folders: shards, indices, other programs' files, and what is cut off or missing."""

import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_pair import WEIGHTS, flax_net, loads, saved
from safetensors.torch import save_file
from small_runs import small

import parity
from d2l_jax import InputError, load
from d2l_jax.catalog import get
from d2l_jax.runs.run import train
from parity.cli import main
from parity.weights.files import read_file
from parity.weights.shards import read_index

KEYS = list(WEIGHTS)
HALVES = (KEYS[:7], KEYS[7:])
STEMS = {"safetensors": "model", "bin": "pytorch_model"}


def shards(folder: Path, suffix: str, index: bool = True) -> Path:
    """Writes the weights in two shards, and returns the path of the index."""
    stem = STEMS[suffix]
    where = {}
    for number, keys in enumerate(HALVES, 1):
        name = f"{stem}-0000{number}-of-00002.{suffix}"
        part = {key: WEIGHTS[key].contiguous() for key in keys}
        (save_file if suffix == "safetensors" else torch.save)(part, folder / name)
        where |= dict.fromkeys(keys, name)
    path = folder / f"{stem}.{suffix}.index.json"
    if index:
        path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}))
    return path


@pytest.mark.parametrize("suffix", STEMS)
def test_shards_load_by_their_index_or_their_folder(tmp_path: Path, suffix: str):
    path = shards(tmp_path, suffix)
    (tmp_path / "config.json").write_text("{}")
    assert loads(path) and loads(tmp_path)
    path.unlink()
    assert loads(tmp_path)


def test_shards_with_another_format_beside_them_are_named(tmp_path: Path):
    shards(tmp_path, "safetensors")
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="several weight files; name one: model.safetensors.index.json, .*model.bin"):
        loads(tmp_path)


@pytest.mark.parametrize("suffix", STEMS)
def test_one_shard_is_in_memory_at_a_time(tmp_path: Path, suffix: str):
    alive: list[weakref.ref] = []
    most = 0

    class Shard(dict):
        """A shard's tensors, of which a weak reference is possible."""

    def read(path: Path) -> Any:
        nonlocal most
        shard = Shard(read_file(path))
        alive.append(weakref.ref(shard))
        most = max(most, sum(reference() is not None for reference in alive))
        return shard

    tensors = read_index(shards(tmp_path, suffix), read)
    opened = len(alive)
    assert loads(tensors) and len(alive) - opened <= 2 and most == 1
    everything = [read(tmp_path / f"{STEMS[suffix]}-0000{number}-of-00002.{suffix}") for number in (1, 2)]
    assert len(everything) == 2 and most == 2  # control: two at a time would be seen


def without(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).unlink()


FIRST = "model-00001-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    "spoil, name, reason",
    [
        (without(FIRST), INDEX, f"names {FIRST}, which .* lacks; copy all shards there"),
        (without(FIRST), ".", f"names {FIRST}, which .* lacks; copy all shards there"),
        (lambda folder: (without(FIRST)(folder), without(INDEX)(folder)), ".", "holds 1 of 2 shards; copy all of them"),
        (lambda folder: None, FIRST, "is one of 2 shards; name their folder, or the index"),
        (lambda folder: (folder / INDEX).write_text("{}"), INDEX, "is no index of shards: it holds no weight_map"),
        (lambda folder: (folder / INDEX).write_text("["), INDEX, "is no index of shards: it holds no weight_map"),
        (lambda folder: (folder / FIRST).write_bytes(bytes(8)), INDEX, f"{FIRST} is corrupt or holds more than"),
    ],
)
def test_shards_that_are_not_whole(tmp_path: Path, spoil: Callable, name: str, reason: str):
    shards(tmp_path, "safetensors")
    spoil(tmp_path)
    with pytest.raises(InputError, match=reason):
        loads(tmp_path / name)


def test_an_index_that_is_wrong_says_where(tmp_path: Path):
    path = shards(tmp_path, "bin")
    content = json.loads(path.read_text())
    content["weight_map"][KEYS[0]] = "pytorch_model-00002-of-00002.bin"
    path.write_text(json.dumps(content))
    assert loads(path)  # it stands in the other shard, which is read too
    content["weight_map"]["more"] = "pytorch_model-00001-of-00002.bin"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="says that pytorch_model-00001-of-00002.bin holds more, which it does not"):
        loads(path)


@pytest.mark.parametrize("name", ["m.bin", "m.ckpt", "m.pth", "m", "m.weights", "m.safetensors.old"])
def test_a_suffix_proves_nothing(tmp_path: Path, name: str):
    assert loads(saved(tmp_path, WEIGHTS, name))
    save_file({key: value.contiguous() for key, value in WEIGHTS.items()}, tmp_path / name)
    assert name.endswith(".pth") or loads(tmp_path / name)


def test_arrays_of_numpy_load(tmp_path: Path):
    np.savez(tmp_path / "m.npz", **{key: value.numpy() for key, value in WEIGHTS.items()})
    assert loads(tmp_path / "m.npz")


@pytest.mark.parametrize(
    "start, reason",
    [
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "is a pointer of Git LFS, not the file itself; `git lfs pull`",
        ),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"GGUF\x03", "is a GGUF file of quantized weights"),
        (b"\x1f\x8b\x08", "is compressed with gzip; unpack it first"),
    ],
)
def test_other_programs_files_are_known(tmp_path: Path, start: bytes, reason: str):
    (tmp_path / "m.bin").write_bytes(start)
    with pytest.raises(InputError, match=reason):
        loads(tmp_path / "m.bin")


@pytest.mark.parametrize(
    "name, reason",
    [
        (".metadata", "is a distributed checkpoint"),
        ("zero_to_fp32.py", "DeepSpeed"),
        ("global_step5/mp_rank_00_model_states.pt", "DeepSpeed"),
        ("global_step5/zero_pp_rank_0_mp_rank_00_model_states.pt", "DeepSpeed"),
        ("_CHECKPOINT_METADATA", "Orbax"),
    ],
)
def test_other_programs_folders_are_known(tmp_path: Path, name: str, reason: str):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=reason):
        loads(tmp_path)


def test_control_a_file_of_ones_own_that_says_which_is_the_latest_makes_no_checkpoint_of_deepspeeds(tmp_path: Path):
    saved(tmp_path, WEIGHTS, "model.pt")
    (tmp_path / "latest").write_text("model.pt")
    assert loads(tmp_path)


def test_an_exported_program_says_how_to_go_on(tmp_path: Path):
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(program, tmp_path / "m.pt2")
    with pytest.raises(InputError, match=r"is an exported program; save torch.export.load\(path\).state_dict"):
        loads(tmp_path / "m.pt2")


def test_a_folder_of_several_files_names_them(tmp_path: Path):
    saved(tmp_path, WEIGHTS, "a.pt")
    assert loads(tmp_path)
    saved(tmp_path, WEIGHTS, "b.pt")
    with pytest.raises(InputError, match="holds several weight files; name one: a.pt, b.pt"):
        loads(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no weights"):
        loads(tmp_path / "empty")


def test_a_folder_of_two_formats_names_both_and_a_trainers_other_files_are_none(tmp_path: Path):
    saved(tmp_path, WEIGHTS, "pytorch_model.bin")
    for name in ("optimizer.bin", "training_args.bin", "rng_state.pth", "scheduler.pt", "random_states_0.pkl"):
        saved(tmp_path, {}, name)
    assert loads(tmp_path)
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="holds several weight files; name one: model.safetensors, pytorch_model.bin"):
        loads(tmp_path)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("suffix", [".pt", ""])
def test_a_file_that_is_cut_off_is_one_line_of_ours(tmp_path: Path, new: bool, suffix: str):
    path = saved(tmp_path, WEIGHTS, f"m{suffix}", _use_new_zipfile_serialization=new)
    whole = path.read_bytes()
    for part in (20, 300, len(whole) // 2, len(whole) - 9):
        path.write_bytes(whole[:part])
        with pytest.raises(InputError, match=f"m{suffix} is corrupt or holds more than weights: ") as error:
            loads(path)
        text = str(error.value)
        assert part == 20 or "cut off" in text or "not whole" in text or part == 300
        assert "\n" not in text and "\x1b" not in text and "weights_only" not in text and "torch.load" not in text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "softmax"
    train(small("softmax", out, 1))
    return out


@pytest.mark.parametrize("where", [".", "weights.safetensors", "checkpoints", "checkpoints/1"])
def test_a_runs_folder_is_as_good_as_a_file(run: Path, where: str):
    loaded = parity.state_dict(parity.load_state_dict(get("softmax").build(5), run / where))
    trained = parity.state_dict(load(run))
    assert all(np.array_equal(loaded[key], trained[key]) for key in trained)


def converted(*args: Any) -> int | str | None:
    with pytest.raises(SystemExit) as exit:
        main(["convert", *map(str, args)])
    return exit.value.code


def test_a_run_is_converted_without_its_models_name(run: Path, tmp_path: Path):
    assert converted(run, tmp_path / "m.bin") == 0
    assert converted(tmp_path / "m.bin", tmp_path / "flax", "--model", "softmax") == 0
    trained = parity.state_dict(load(run))
    loaded = parity.state_dict(load(tmp_path / "flax"))
    assert all(np.array_equal(loaded[key], trained[key]) for key in trained)


def test_convert_writes_no_folder_that_is_named_as_a_file(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    assert converted(run, tmp_path / "m.h5") == 2 and not list(tmp_path.iterdir())
    assert "m.h5: not a kind that is written; .safetensors, .pt, " in capsys.readouterr().err
    assert converted(run, tmp_path / "lenet-v1.2") == 0  # control: a folder with a dot in its name


def test_convert_takes_one_of_several(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    weights = {key: torch.tensor(array) for key, array in parity.state_dict(load(run)).items()}
    ema = {key: tensor + 1 for key, tensor in weights.items()}
    path = saved(tmp_path, {"model": weights, "ema": ema})
    assert converted(path, tmp_path / "a.pt", "--model", "softmax") == 2
    assert "holds 2 that fit: model, ema" in capsys.readouterr().err
    assert converted(path, tmp_path / "a.pt", "--model", "softmax", "--entry", "ema") == 0
    assert all(torch.equal(tensor, ema[key]) for key, tensor in torch.load(tmp_path / "a.pt").items())


@pytest.mark.parametrize(
    "options, reason",
    [((), "does not say which model it is of; give --model NAME"), (("--model", "mlp"), "not of mlp")],
)
def test_convert_says_which_name_is_missing_or_wrong(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture, options: tuple, reason: str
):
    source = run if options else saved(tmp_path, WEIGHTS)
    assert converted(source, tmp_path / "b.pt", *options) == 2
    assert reason in capsys.readouterr().err


def test_a_wrong_model_is_refused_with_what_differs():
    weights = {f"layers.{i}.weight": torch.ones(2, 2) for i in range(300)}
    with pytest.raises(
        InputError, match="missing conv.weight .*; unexpected layers.0.weight .*; and 290 more"
    ) as error:
        parity.load_state_dict(flax_net(), weights)
    assert len(str(error.value)) < 1500
