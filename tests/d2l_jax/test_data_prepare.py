"""Prepared tensorflow-datasets folders: prepared, read back both ways, and refused when damaged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_toy import alone_fixture, same, toy_images  # noqa: F401

from d2l_jax.data import load, prepare
from d2l_jax.errors import InputError

tfds = pytest.importorskip("tensorflow_datasets", reason="the extra tfds is not installed")
pytest.importorskip("array_record", reason="the extra tfds is not installed")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, list]:
    """A prepared data_dir, the arrays in it, and what the progress callback was told."""
    folder = tmp_path_factory.mktemp("prepared")
    arrays = toy_images(folder / "fashion-mnist")
    reports = []
    path = prepare(folder / "fashion-mnist", folder / "data", progress=lambda *step: reports.append(step))
    assert path == folder / "data/fashion_mnist/3.0.1"
    return folder / "data", arrays, reports


@pytest.fixture
def copy(prepared: tuple[Path, dict, list], tmp_path: Path) -> Path:
    """A version's folder that a test may spoil."""
    return Path(shutil.copytree(prepared[0] / "fashion_mnist" / "3.0.1", tmp_path / "fashion_mnist" / "3.0.1"))


@pytest.mark.parametrize("below", ["", "fashion_mnist", "fashion_mnist/3.0.1"])
@pytest.mark.parametrize("name", [None, "fashion_mnist"])
def test_read_back_here(prepared: tuple[Path, dict, list], below: str, name: str | None):
    data = load(name, source=prepared[0] / below)
    assert same(data, prepared[1]) and data.name == "fashion_mnist" and data.classes[0] == "t-shirt"
    assert data.source == f"tfds folder {prepared[0] / 'fashion_mnist' / '3.0.1'}"


def test_read_back_with_plain_tfds(prepared: tuple[Path, dict, list]):
    source = tfds.data_source("fashion_mnist", data_dir=prepared[0], split="test", download=False)
    assert np.array_equal([e["image"][..., 0] for e in source], prepared[1]["t10k-images"])
    assert np.array_equal([e["label"] for e in source], prepared[1]["t10k-labels"])


def test_found_in_the_usual_cache(prepared: tuple[Path, dict, list], alone: Path):
    shutil.copytree(prepared[0], alone / "home/tensorflow_datasets")
    assert same(load(), prepared[1])


def test_progress_was_told(prepared: tuple[Path, dict, list]):
    assert prepared[2] == [(i, 42) for i in range(1, 43)]


def test_nothing_is_printed_and_no_tensorflow(tmp_path: Path):
    toy_images(tmp_path / "mine")
    code = (
        "import sys; from d2l_jax.data import prepare; prepare(sys.argv[1], sys.argv[2], progress=print);"
        "assert 'tensorflow' not in sys.modules and 'torch' not in sys.modules"
    )
    call = [sys.executable, "-c", code, tmp_path / "mine", tmp_path / "out"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(f"{i} 42\n" for i in range(1, 43))
    assert (tmp_path / "out/mine/3.0.1").is_dir()


def test_target_exists_already(prepared: tuple[Path, dict, list], tmp_path: Path):
    toy_images(tmp_path)
    with pytest.raises(InputError, match="3.0.1 exists already"):
        prepare(tmp_path, prepared[0], "FashionMNIST")


def test_target_is_a_file(tmp_path: Path):
    toy_images(tmp_path / "mine")
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot write .*exists"):
        prepare(tmp_path / "mine", tmp_path / "taken")


FULL_DISK = """
import resource, signal, sys
from d2l_jax.data import prepare
from d2l_jax.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    prepare(sys.argv[1], sys.argv[2])
except InputError as error:
    sys.exit(0 if "cannot write" in str(error) else str(error))
sys.exit("no error")
"""


def test_full_disk_leaves_nothing(tmp_path: Path):
    """A limit on the size of a file stands in for the full disk: both make a write fail."""
    toy_images(tmp_path / "mine", train=3000)
    call = [sys.executable, "-c", FULL_DISK, tmp_path / "mine", tmp_path / "out"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_fault_in_the_callback_leaves_nothing(tmp_path: Path):
    toy_images(tmp_path / "mine")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "mine", tmp_path / "out", progress=stop)
    assert list((tmp_path / "out").iterdir()) == []


def test_source_without_images(tmp_path: Path):
    with pytest.raises(InputError, match="holds no images; four idx files"):
        prepare(tmp_path, tmp_path / "out")


def test_name_must_be_plain(tmp_path: Path):
    toy_images(tmp_path)
    with pytest.raises(InputError, match="'my data' is no name"):
        prepare(tmp_path, tmp_path / "out", "my data")


def test_other_format(copy: Path):
    info = json.loads((copy / "dataset_info.json").read_text())
    (copy / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    with pytest.raises(InputError, match="format tfrecord, which needs TensorFlow"):
        load(source=copy)


@pytest.mark.parametrize("file", ["dataset_info.json", "features.json", "*train.array_record*"])
@pytest.mark.parametrize("how", ["cut", "gone", "noise"])
def test_damage(copy: Path, file: str, how: str):
    path = next(copy.glob(file))
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if how == "cut" else b"\x00\x91" * (len(content) // 2))
    with pytest.raises(InputError) as error:
        load(source=copy)
    assert str(copy) in str(error.value) and "\n" not in str(error.value)


def test_several_data_sets(prepared: tuple[Path, dict, list], tmp_path: Path):
    shutil.copytree(prepared[0], tmp_path / "data")
    toy_images(tmp_path / "toy")
    prepare(tmp_path / "toy", tmp_path / "data", "toy")
    with pytest.raises(InputError, match="holds several data sets; name one of fashion_mnist, toy"):
        load(source=tmp_path / "data")
    assert load("fashion_mnist", source=tmp_path / "data").name == "fashion_mnist"
    assert load(source=tmp_path / "data/toy").name == "toy"


def test_newest_version_is_taken(copy: Path):
    shutil.copytree(copy, copy.parent / "3.0.10")
    shutil.copytree(copy, copy.parent / "3.0.9")
    assert load(source=copy.parent).source.endswith("3.0.10")


def test_missing_extra(copy: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "array_record", None)
    with pytest.raises(InputError, match=r"pip install 'd2l-jax\[tfds\]'"):
        load(source=copy)
    with pytest.raises(InputError, match=r"pip install 'd2l-jax\[tfds\]'"):
        prepare(copy, copy)
