"""Processes that train together: where they meet, that they are one run bit for bit, and what ends them."""

import glob
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from d2l_jax.errors import InputError
from d2l_jax.runs.options import Options
from d2l_jax.runs.together import Together, together

SLURM = {"SLURM_STEP_NODELIST": "node[001-002]", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}
PLAIN = {"JAX_COORDINATOR_ADDRESS": "10.0.0.1:1234", "JAX_PROCESS_ID": "1"}
CPU = {"CUDA_VISIBLE_DEVICES": ""}


def test_where_the_processes_start():
    assert together(Options("mlp"), PLAIN) is None
    assert together(Options("mlp", processes=1), CPU) is None
    assert together(Options("mlp", processes=2), PLAIN) == Together(2, (1,), "10.0.0.1:1234", ((),))
    options = Options("mlp", processes=2, process_id=0, coordinator="10.0.0.2:99")
    assert together(options, PLAIN) == Together(2, (0,), "10.0.0.2:99", ((),))
    assert together(Options("mlp", processes=4), SLURM) == Together(4, (3,), None, ((),))
    here = together(Options("mlp", processes=2), SLURM | CPU)  # not as many as Slurm has started
    assert here and here.numbers == (0, 1) and here.leads and str(here.coordinator).startswith("127.0.0.1:")


def test_gpus_are_dealt_out():
    def gpus(visible: str) -> tuple:
        here = together(Options("mlp", processes=2), {"CUDA_VISIBLE_DEVICES": visible})
        return here.gpus if here else ()

    assert gpus("4,5,6,7") == ((0, 1), (2, 3))
    assert gpus("4") == gpus("") == ((), ())


WRONG = [
    ({"processes": 0}, {}, "--processes 0 is too few"),
    ({"process_id": 1}, {}, "--coordinator and --process-id need --processes"),
    ({"processes": 2, "process_id": 1}, {}, "one of several processes needs --coordinator HOST:PORT, too"),
    ({"processes": 2, "coordinator": "a:1"}, {}, "one of several processes needs --process-id N, too"),
    ({"processes": 2, "coordinator": "a", "process_id": 0}, {}, "--coordinator a is no address; HOST:PORT is right"),
    ({"processes": 2, "coordinator": "a:1", "process_id": 2}, {}, "--process-id 2 is none of 2 processes"),
    ({"processes": 2}, PLAIN | {"JAX_PROCESS_ID": "one"}, "JAX_PROCESS_ID=one is no number of a process"),
]


@pytest.mark.parametrize(("options", "environment", "words"), WRONG)
def test_what_does_not_fit_is_one_line(options: dict, environment: dict, words: str):
    with pytest.raises(InputError, match=words) as caught:
        together(Options("mlp", **options), environment)
    assert "\n" not in str(caught.value)


def begun(out: Path, *options: str, name: str = "softmax", epochs: int = 2, platform: str = "cpu") -> subprocess.Popen:
    """Starts `d2l-jax train` as users have it, without x64."""
    command = [sys.executable, "-W", "ignore", "-m", "d2l_jax", "train", name, "--data", "digits"]
    command += ["--batch-size", "64", "--epochs", str(epochs), "--out", str(out), *options]
    environment = {**os.environ, "JAX_ENABLE_X64": "0", "JAX_PLATFORMS": platform}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def trained(out: Path, *options: str, **more) -> dict[str, np.ndarray]:
    """The weights after a whole run."""
    process = begun(out, *options, **more)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0 and not errors, errors
    return load_file(out / "weights.safetensors")


def largest_gap(left: dict, right: dict) -> float:
    return max(float(np.max(np.abs(left[key].astype(np.float64) - right[key]), initial=0)) for key in left)


@pytest.mark.slow
def test_two_processes_are_one_with_two_devices_bit_for_bit(tmp_path: Path):
    two = trained(tmp_path / "processes", "--processes", "2")
    one = trained(tmp_path / "devices", "--devices", "2")
    assert two.keys() == one.keys() and largest_gap(two, one) == 0
    assert {path.name for path in (tmp_path / "processes" / "checkpoints").iterdir()} == {"1", "2"}


GPUS = len(glob.glob("/dev/nvidia[0-9]*"))


@pytest.mark.skipif(GPUS < 2, reason="needs two GPUs")
@pytest.mark.parametrize("kind", ["synchronised", "per-replica"])
def test_two_gpus_in_one_process_or_two(tmp_path: Path, kind: str):
    gpus = {"platform": "cuda", "name": "bn-lenet"}
    one = trained(tmp_path / "one", "--devices", "2", "--batch-norm", kind, **gpus)
    two = trained(tmp_path / "two", "--processes", "2", "--batch-norm", kind, **gpus)
    assert largest_gap(one, two) < 1e-4


@pytest.mark.slow
def test_a_checkpoint_goes_on_elsewhere(tmp_path: Path):
    """Sums of another order round otherwise: no other number of devices is the same bit for bit."""
    options = {"name": "bn-lenet"}
    whole = trained(tmp_path / "whole", epochs=3, **options)
    four = ["--processes", "2", "--devices", "2"]
    for number, (first, then) in enumerate([(four, []), (["--devices", "4"], ["--processes", "2"]), ([], four)]):
        out = tmp_path / str(number)
        trained(out, *first, **options)
        assert 0 < largest_gap(whole, trained(out, *then, "--resume", epochs=3, **options)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1])
def test_a_process_that_dies_ends_all_with_a_line_and_leaves_the_checkpoint_whole(tmp_path: Path, place: int):
    launcher = begun(tmp_path / "run", "--processes", "2", epochs=100_000)
    children = children_after_two_checkpoints(tmp_path / "run", [launcher])
    os.kill(children[place], signal.SIGKILL)
    _, errors = launcher.communicate(timeout=60)
    assert launcher.returncode == 2 and errors.count("\n") == 1
    assert f"error: process {place} of 2 was ended by SIGKILL; the last checkpoint is " in errors
    last = max(int(path.name) for path in (tmp_path / "run" / "checkpoints").iterdir() if path.name.isdecimal())
    trained(tmp_path / "run", "--resume", epochs=last + 1)


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1])
def test_the_others_of_a_cluster_end_too(tmp_path: Path, place: int):
    address = together(Options("mlp", processes=2), CPU)
    assert address and address.coordinator
    common = ["--processes", "2", "--coordinator", address.coordinator]
    launchers = [begun(tmp_path / "run", *common, "--process-id", str(i), epochs=100_000) for i in range(2)]
    children = children_after_two_checkpoints(tmp_path / "run", launchers)
    os.kill(children[place], signal.SIGKILL)
    said = [launcher.communicate(timeout=60)[1] for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [2, 2]
    assert f"process {place} of 2 was ended by SIGKILL" in said[place]
    assert f"process {1 - place} of 2 has lost another one" in said[1 - place] or "is lost" in said[1 - place]
    assert all(lines.count("\n") == 1 for lines in said)


def children_after_two_checkpoints(out: Path, launchers: list[subprocess.Popen]) -> list[int]:
    """The processes of the training, as soon as two checkpoints are there."""
    deadline = time.monotonic() + 200
    while not (out / "checkpoints" / "2").is_dir():
        assert time.monotonic() < deadline and all(launcher.poll() is None for launcher in launchers)
        time.sleep(0.1)
    listed = [Path(f"/proc/{each.pid}/task/{each.pid}/children").read_text().split() for each in launchers]
    return [int(pid) for pids in listed for pid in pids]


@pytest.mark.slow
def test_a_batch_that_does_not_divide_is_refused(tmp_path: Path):
    process = begun(tmp_path / "run", "--devices", "3")
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 2
    assert errors == "error: --batch-size 64 does not divide over 3 devices; a multiple is right\n"
    assert not (tmp_path / "run").exists()
