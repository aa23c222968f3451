"""Recordings that are damaged, readable or not, and recordings of several turns."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from d2l_jax import InputError
from d2l_jax.catalog import get
from parity.cli import main
from parity.offline import Recording, compare_recordings, load, save
from parity.offline.recording import record_case


@pytest.fixture(scope="module")
def torch_side() -> Recording:
    return record_case(get("linear-regression"), "torch", steps=1, probes=1)


def damaged(whole: bytes) -> dict[str, bytes]:
    middle = len(whole) // 2
    inside = within_an_array(whole)
    return {
        "empty": b"",
        "text": b"not a recording",
        "cut": whole[:middle],
        "cut at the end": whole[:-10],
        "a bit": whole[:inside] + bytes([whole[inside] ^ 4]) + whole[inside + 1 :],
    }


def within_an_array(whole: bytes) -> int:
    """The middle of the largest member: the archive guards that, but not, say, the dates of its files."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        largest = max(archive.infolist(), key=lambda member: member.compress_size)
        with archive.open(largest):
            start = archive.fp.tell() if archive.fp else 0
    return start + largest.compress_size // 2


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "cut at the end", "a bit"])
def test_damage_is_one_line(kind, torch_side, tmp_path, capsys):
    save(torch_side, tmp_path / "torch")
    (tmp_path / "bad").write_bytes(damaged((tmp_path / "torch").read_bytes())[kind])
    with pytest.raises(SystemExit) as exit:
        main(["compare", str(tmp_path / "bad"), str(tmp_path / "torch")])
    assert exit.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and "damaged or no recording" in message and message.count("\n") == 1
    assert "pickle" not in message


def test_other_archives_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    np.save(tmp_path / "b.npy", np.zeros(3))
    np.savez(tmp_path / "c.npz", about=np.array([{"pickled": 1}], dtype=object))
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(InputError, match="damaged or no recording"):
            load(path)
    with pytest.raises(InputError, match="there is no file"):
        load(tmp_path / "none")


def lacking(measured: dict) -> dict:
    return dict(list(measured.items())[1:])


ABOUT = {
    "no noise": {"noise": {}},
    "no errors": {"errors": {"float32": {}}},
    "a sum of unknown length": {"longest_sum": "x"},
    "a lacking noise": lacking,
    "a word for a noise": lambda measured: dict.fromkeys(measured, "little"),
}


@pytest.mark.parametrize("damage", ABOUT)
def test_a_file_without_its_measurements_is_refused(damage, torch_side, tmp_path):
    change = ABOUT[damage]
    about = {"noise": change(torch_side.about.noise)} if callable(change) else change
    save(replace(torch_side, about=replace(torch_side.about, **about)), tmp_path / "bad")
    with pytest.raises(InputError, match="damaged: it does not say how far rounding moves each tensor"):
        load(tmp_path / "bad")


def test_a_file_of_words_is_refused(torch_side, tmp_path):
    words = {key: np.full(array.shape, "x") for key, array in torch_side.records["float64"].items()}
    save(replace(torch_side, records=torch_side.records | {"float64": words}), tmp_path / "bad")
    with pytest.raises(InputError, match="a tensor in it holds no real numbers"):
        load(tmp_path / "bad")


@pytest.mark.slow
def test_several_turns_with_adam_agree_from_file_to_file(tmp_path):
    """The rounding of 1 - beta^t is in the file; without it the second step's updates fail."""
    case = get("gan")
    save(record_case(case, "torch", steps=2), tmp_path / "torch")
    torch_side = load(tmp_path / "torch")
    assert torch_side.about.corrected and min(torch_side.about.corrected.values()) < 0.1
    flax_side = record_case(case, "flax", torch_side)
    assert compare_recordings(torch_side, flax_side).status == "pass"
