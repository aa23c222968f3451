"""Files and folders that are not PyTorch's weights are told by what they are, and where the weights lie."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_pair import WEIGHTS, loads, saved
from flax import serialization
from orbax import checkpoint as ocp
from safetensors.torch import save_file

from d2l_jax import InputError, load


def packed(kind: str) -> bytes:
    """Returns the bytes of an archive of a small file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{kind}") as archive:
        archive.addfile(tarfile.TarInfo("model.pth"))
    return file.getvalue()


STARTS = {
    "a log": (b"epoch 3\nloss 0.5\n", "is text, not weights: it begins 'epoch 3 loss 0.5'"),
    "an answer of a server": (b"Entry not found", "is text, not weights: it begins 'Entry not found'"),
    "letters beyond ASCII": ("Größe\n".encode() * 99, "is text, not weights: it begins 'Größe"),
    "a page after blank lines": (b"\n\n<!doctype html>\n<title>404", "is a web page"),
    "JSON": (b'{"error":"Invalid credentials"}', "is text, not weights: it begins '{"),
    "tar": (packed(""), "is packed with tar; unpack it first"),
    "tar.xz": (packed("xz"), "is compressed with xz; unpack it first"),
    "Flax's bytes": (serialization.to_bytes({"params": {"kernel": np.ones(2)}}), "is a file of Flax's"),
    "ONNX": (b"\x08\x08\x12\x07pytorch" + bytes(99), "is a program of ONNX"),
}


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("suffix", [".bin", ".safetensors", ""])
def test_a_file_is_told_by_its_beginning(tmp_path: Path, name: str, suffix: str):
    start, reason = STARTS[name]
    (tmp_path / f"m{suffix}").write_bytes(start)
    with pytest.raises(InputError, match=reason):
        loads(tmp_path / f"m{suffix}")


@pytest.mark.parametrize("length", [0x12AA08, 0xA381])
def test_control_a_length_that_looks_like_another_programs_mark_is_none(tmp_path: Path, length: int):
    whole = save_file({key: value.contiguous() for key, value in WEIGHTS.items()}, tmp_path / "m.safetensors")
    whole = (tmp_path / "m.safetensors").read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = whole[8 : 8 + size].ljust(length)  # blanks are allowed
    (tmp_path / "m.bin").write_bytes(length.to_bytes(8, "little") + header + whole[8 + size :])
    assert loads(tmp_path / "m.bin")


def test_archives_of_files_are_told(tmp_path: Path):
    saved(tmp_path, WEIGHTS)
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.write(tmp_path / "m.pt", "weights/m.pt")
    with pytest.raises(InputError, match=r"is an archive of files \(weights/m.pt\); unpack it first"):
        loads(tmp_path / "m.zip")
    zipfile.ZipFile(tmp_path / "m.pt").extractall(tmp_path)
    with pytest.raises(InputError, match="what torch.save wrote and a program unpacked; name the archive"):
        loads(tmp_path / "m")


def test_arrays_of_numpy_that_have_no_names(tmp_path: Path):
    arrays = {key: value.numpy() for key, value in WEIGHTS.items()}
    np.save(tmp_path / "m.npy", np.asarray(arrays), allow_pickle=True)
    np.savez(tmp_path / "m.npz", params=np.asarray(arrays))
    for name in ("m.npy", "m.npz"):
        with pytest.raises(InputError, match=r"numpy.savez\(path, \*\*arrays\)"):
            loads(tmp_path / name)


def test_a_folder_names_what_lies_below(tmp_path: Path):
    with pytest.raises(InputError, match="holds no weights: no run of d2l-jax train"):
        loads(tmp_path)
    inner = tmp_path / "version_0" / "checkpoints"
    inner.mkdir(parents=True)
    saved(inner, WEIGHTS, "epoch=3.ckpt")
    for folder, name in ((tmp_path, "version_0/checkpoints/epoch=3.ckpt"), (inner.parent, "checkpoints/epoch=3.ckpt")):
        with pytest.raises(InputError, match=f"holds no weights itself; name one below: {name}$"):
            loads(folder)
    saved(inner, WEIGHTS, "last.ckpt")
    with pytest.raises(InputError, match="name one below: checkpoints$"):
        loads(inner.parent)
    with pytest.raises(InputError, match=r"is no run of .*parity.load_state_dict\(model, '.*version_0'\)"):
        load(inner.parent)


def test_folders_of_orbax_are_told_from_any_of_their_levels(tmp_path: Path):
    with ocp.CheckpointManager(tmp_path / "run") as manager:
        manager.save(3, args=ocp.args.StandardSave({"kernel": np.ones(2)}))
    for name in ("run", "run/3", "run/3/default"):
        with pytest.raises(InputError, match="a checkpoint of Orbax's, with Flax's names"):
            loads(tmp_path / name)


def test_names_of_files_that_are_not_there(tmp_path: Path):
    (tmp_path / "model.safetensors").symlink_to("../blobs/1")
    with pytest.raises(InputError, match="is a link to ../blobs/1, which is not there"):
        loads(tmp_path / "model.safetensors")
    (tmp_path / "model.ckpt-10.index").touch()
    with pytest.raises(InputError, match="of a checkpoint of TensorFlow"):
        loads(tmp_path / "model.ckpt-10")
    with pytest.raises(InputError, match="no such file: .*other.ckpt"):
        loads(tmp_path / "other.ckpt")
    with pytest.raises(InputError, match=r"no such file: .*model-safetensors \(there is model.safetensors\)"):
        loads(tmp_path / "model-safetensors")
    with pytest.raises(InputError, match="https://pytorch.org/m.pth is an address; download the file"):
        loads("https://pytorch.org/m.pth")


def test_a_changed_byte_is_noticed_and_missing_sums_are_not_taken_for_it(tmp_path: Path):
    path = saved(tmp_path, WEIGHTS)
    whole = bytearray(path.read_bytes())
    whole[whole.find(WEIGHTS["conv.weight"].numpy().tobytes()) + 2] ^= 255
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"m.pt is corrupt .*: m/data/\d+ in it was changed after it was saved"):
        loads(path)
    torch.serialization.set_crc32_options(False)
    try:
        path = saved(tmp_path, WEIGHTS, "without.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert loads(path)


@pytest.mark.parametrize("how, right", [(zipfile.ZIP_STORED, True), (zipfile.ZIP_DEFLATED, False)])
def test_an_archive_that_was_packed_again_is_read_where_nothing_in_it_is_compressed(
    tmp_path: Path, how: int, right: bool
):
    again = tmp_path / "again.pt"
    with zipfile.ZipFile(saved(tmp_path, WEIGHTS)) as before, zipfile.ZipFile(again, "w", how) as after:
        for name in before.namelist():
            after.writestr(name, before.read(name))
    if right:
        assert loads(again)
        return
    with pytest.raises(InputError, match="packed again, with compression; `zip -0` packs without"):
        loads(again)


def test_an_index_may_name_files_of_a_folder(tmp_path: Path):
    (tmp_path / "parts").mkdir()
    save_file({key: value.contiguous() for key, value in WEIGHTS.items()}, tmp_path / "parts" / "a.safetensors")
    where = dict.fromkeys(WEIGHTS, "parts/a.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    assert loads(tmp_path)
