"""The command `d2l-jax`: what it prints, and one clear line with status 2 for every wrong call."""

import json
import math
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_toy import toy_images, write_idx

from d2l_jax.catalog import CASES
from d2l_jax.cli import main
from d2l_jax.errors import InputError
from d2l_jax.write import write_json

DIGITS = ["--data", "digits", "--batch-size", "400", "--epochs", "1"]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No data set but the embedded ones is found, and `runs` goes into a new folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("D2L_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("d2l_jax.data.find.places.SYSTEM", tmp_path / "none")


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """The one line that a wrong call prints."""
    with pytest.raises(SystemExit) as stop:
        main(args)
    out, err = capsys.readouterr()
    assert stop.value.code == 2, err
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    return err


def program(*args: str, before: str = "") -> subprocess.CompletedProcess:
    """The command in a process of its own, after the statements `before`."""
    code = f"{before}\nfrom d2l_jax.cli import main\nmain()"
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)


WRONG = [
    (["show", "lenett"], "unknown model 'lenett'; did you mean lenet"),
    (["show", "lenet", "--twin", "--json", "-"], "--twin shows sources, which --json does not hold"),
    (["train", "lenett"], "unknown model 'lenett'; did you mean lenet"),
    (["train", "residual"], "residual has no data to train on"),
    (["train", "mlp", "--data", "fashion"], "unknown data set 'fashion'; did you mean fashion_mnist"),
    (["train", "mlp", "--data", "mnist"], "mnist was not found"),
    (["train", "mlp", "--data", "./nowhere"], "nowhere does not exist"),
    (["train", "mlp", "--data", "."], "holds no images"),
    (["train", "houses", "--data", "."], "holds no houses"),
    (["train", "mlp", "--batch-size", "0"], "--batch-size 0 is too small; give 1 or more"),
    (["train", "mlp", "--batch-size", "-3"], "--batch-size -3 is too small"),
    (["train", "mlp", "--data", "digits", "--batch-size", "2000"], "--batch-size 2000 does not fit 1437 examples"),
    (["train", "mlp", "--epochs", "0"], "--epochs 0 is too small; give 1 or more"),
    (["train", "mlp", "--lr", "0"], "--lr 0.0 is no learning rate; give a number above 0"),
    (["train", "mlp", "--lr", "-0.1"], "--lr -0.1 is no learning rate"),
    (["train", "mlp", "--lr", "nan"], "--lr nan is no learning rate"),
    (["train", "mlp", "--lr", "inf"], "--lr inf is no learning rate"),
    (["train", "mlp", "--seed", "-1"], "--seed -1 is too small; give 0 or more"),
    (["train", "mlp", "--data", "digits", "--resume"], "runs/mlp holds no checkpoint to resume from"),
    (["train", "mlp", "--data", "synthetic"], "mlp learns labels from images; synthetic has numbers for a table"),
    (["train", "linear-regression", "--data", "digits"], "learns numbers from a table; digits has labels for images"),
    (["compare", "nowhere"], "nowhere holds no training run"),
    (["compare"], "compare needs the folder of a run"),
    (["predict", "nowhere", "a text"], "no such run: nowhere"),
    (["data", "prepare", "nowhere", "target"], "nowhere"),
]


@pytest.mark.parametrize(("args", "said"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_wrong_call_is_told_in_one_line(capsys: pytest.CaptureFixture[str], args: list[str], said: str):
    assert said in refused(capsys, *args)
    assert not Path("runs").exists()


@pytest.mark.parametrize("args", [["train", "mlp", "--lr", "abc"], ["train"], ["nothing"], [], ["list", "--lr", "1"]])
def test_usage_errors_have_status_2(args: list[str]):
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 2


def test_images_of_another_size_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    toy_images(tmp_path / "toys")
    said = refused(capsys, "train", "mlp", "--data", "toys", "--batch-size", "4")
    assert "mlp takes images of 28x28x1 (height, width, channels); toys has 6x5x1" in said


def test_more_classes_than_outputs_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    for stem, n in (("train", 20), ("t10k", 20)):
        write_idx(tmp_path / "many" / f"{stem}-images-idx3-ubyte", np.zeros((n, 28, 28), np.uint8))
        write_idx(tmp_path / "many" / f"{stem}-labels-idx1-ubyte", np.arange(n, dtype=np.uint8))
    said = refused(capsys, "train", "mlp", "--data", "many", "--batch-size", "4")
    assert "mlp tells 10 classes apart; many has 20" in said


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/none/runs"])
def test_an_unwritable_folder_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path, out: str):
    (tmp_path / "file").write_text("")
    assert f"cannot write {out}" in refused(capsys, "train", "softmax", *DIGITS, "--out", out)


def test_a_full_disk_is_told_in_one_line(capfd: pytest.CaptureFixture[str], set_jax: Callable[[str, Any], None]):
    # else half of a compiled program stays behind, for other tests to find
    set_jax("jax_persistent_cache_min_compile_time_secs", math.inf)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(SystemExit) as stop:
            main(["train", "softmax", *DIGITS])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    out, err = capfd.readouterr()
    assert stop.value.code == 2 and "epoch" not in out
    assert err == "error: cannot write runs/softmax/checkpoints/1: File too large\n"
    assert os.listdir("runs/softmax/checkpoints") == []


def test_a_device_is_written_to_and_not_replaced():
    with pytest.raises(InputError, match="cannot write /dev/full: No space left on device"):
        write_json(Path("/dev/full"), {})
    assert Path("/dev/full").is_char_device()


def test_a_large_learning_rate_ends_with_status_2(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["train", "softmax-scratch", *DIGITS, "--lr", "1e6"])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.count("\n") == 1
    assert "training diverged: the loss is" in err and "no checkpoint was saved before" in err
    assert not Path("runs/softmax-scratch").exists()


def test_train_tells_the_data_the_figures_and_the_files(capsys: pytest.CaptureFixture[str]):
    main(["train", "softmax", *DIGITS, "--lr", "0.5", "--seed", "3", "--json", "copy.json"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("data      digits: embedded default")
    assert [line.split()[0] for line in lines[1:]] == ["device", "versions", "model", "epoch", "written"]
    assert "SGD lr 0.5, seed 3" in lines[3] and "accuracy" in lines[4]
    assert json.loads(Path("copy.json").read_text()) == json.loads(Path("runs/softmax/metrics.json").read_text())
    with pytest.raises(SystemExit):
        main(["train", "softmax", *DIGITS])
    assert "runs/softmax holds a run already; continue it with --resume" in capsys.readouterr().err
    main(["compare", "runs/softmax", "--out", "one.png"])
    assert Path("one.png").exists()


def test_in_a_file_each_epoch_is_one_line():
    ended = program("train", "softmax", "--data", "digits", "--batch-size", "400", "--epochs", "3")
    assert ended.returncode == 0 and "\r" not in ended.stdout and "\x1b" not in ended.stdout
    epochs = [line.split()[1] for line in ended.stdout.splitlines() if line.startswith("epoch")]
    assert epochs == ["1/3", "2/3", "3/3"]


def test_without_its_data_a_model_takes_the_embedded_default(capsys: pytest.CaptureFixture[str]):
    main(["train", "softmax", "--epochs", "1", "--json", "-"])
    out, err = capsys.readouterr()
    assert json.loads(out)["data"]["name"] == "digits"
    assert "data      digits: embedded default" in err


def test_the_number_of_features_follows_the_data(capsys: pytest.CaptureFixture[str]):
    main(["train", "linear-regression-scratch", "--data", "ohms_law", "--epochs", "1", "--json", "-"])
    assert json.loads(capsys.readouterr().out)["parameters"] == 2


def test_list_has_every_case(capsys: pytest.CaptureFixture[str]):
    main(["list", "--json", "-"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["cases"]}
    assert list(rows) == [case.name for case in CASES]
    assert rows["lenet"]["parameters"] == 61_706 and rows["lenet"]["data"] == "fashion_mnist"
    assert rows["vgg11"]["parameters"] == 128_806_154  # 0.5 GB, were it allocated


def test_show_has_every_shape(capsys: pytest.CaptureFixture[str]):
    main(["show", "bn-lenet"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "net.0 Conv2d 128x24x24x6 156 kernel 5x5x1x6, bias 6" in shown
    assert "net.1 BatchNorm 128x24x24x6 12 scale 6, bias 6, mean 6, var 6" in shown
    assert "44,878 parameters" in shown and "data fashion_mnist" in shown


LOADED = "import atexit, sys; atexit.register(lambda: print(*sorted(sys.modules)))"


def test_help_is_quiet_and_loads_neither_torch_nor_what_draws_and_reads():
    ended = program("train", "--help", before=LOADED)
    assert ended.returncode == 0 and ended.stderr == ""
    assert "d2l-jax train lenet" in ended.stdout and "--batch-size" in ended.stdout
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert "d2l_jax.cli" in loaded
    assert not loaded & {"jax", "flax", "torch", "tensorflow", "matplotlib", "pandas", "parity"}


NO_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, NoTorch())
"""


def test_it_works_without_torch():
    first = f"{NO_TORCH}\nfrom d2l_jax.cli import main\nmain({['train', 'softmax', *DIGITS]!r})"
    ended = program("train", "softmax", *DIGITS, "--framework", "torch", "--out", "other", before=first)
    assert "written   runs/softmax/metrics.json" in ended.stdout
    assert ended.returncode == 2
    assert ended.stderr == "error: --framework torch needs PyTorch: pip install 'd2l-jax[parity]'\n"


def test_prepare_makes_what_train_reads(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    pytest.importorskip("tensorflow_datasets")
    toy_images(tmp_path / "toys")
    main(["data", "prepare", "toys", "target", "--name", "mnist"])
    assert "written   target/mnist" in capsys.readouterr().out


def test_a_pytorch_that_does_not_load_is_one_line(tmp_path: Path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libtorch.so')")
    first = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    ended = program("train", "softmax", *DIGITS, "--framework", "torch", "--out", "broken", before=first)
    assert ended.returncode == 2
    assert ended.stderr.endswith(": PyTorch is installed, but does not load: ImportError: libtorch.so\n")
    assert ended.stderr.count("\n") == 1
