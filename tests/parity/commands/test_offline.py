"""Recordings: two processes agree as one would, planted bugs are found, and every kind of damage is one line."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from flax import nnx
from small_pair import INPUTS, TRAINING, SmallTorch, small
from written import ROOT

from d2l_jax import InputError, Observed, optim, supervised
from d2l_jax.catalog import get
from parity.arrays.key import Key
from parity.cli import main
from parity.offline import Recording, compare_recordings, load, save
from parity.offline.recording import flax_twin, record_case, record_flax, record_torch
from parity.own_pair import twin_of_pair
from parity.proof.proof import check_twin
from parity.twin.learning import Learning

NAME = "linear-regression"
OUTPUT = Key(1, "forward", "output")
LOSS = Key(1, "forward", "loss")


@pytest.fixture(scope="module")
def torch_side() -> Recording:
    return record_case(get(NAME), "torch", steps=2, probes=2)


@pytest.fixture(scope="module")
def flax_side(torch_side) -> Recording:
    return record_case(get(NAME), "flax", torch_side)


@pytest.fixture
def files(tmp_path, torch_side, flax_side):
    for name, side in (("torch", torch_side), ("flax", flax_side)):
        save(side, tmp_path / name)
    return tmp_path


def run(*args):
    with pytest.raises(SystemExit) as exit:
        main([str(arg) for arg in args])
    return exit.value.code


def test_two_sides_agree(torch_side, flax_side):
    result = compare_recordings(torch_side, flax_side)
    assert result.status == "pass" and set(result.rows) == {"float64", "float32"}
    assert {"evaluation", "forward", "gradients", "update", "step 2 update"} <= {
        r.phase for r in result.rows["float64"]
    }
    assert compare_recordings(flax_side, torch_side).rows == result.rows


def test_a_file_is_what_was_saved(files, torch_side, flax_side):
    for side in (torch_side, flax_side):
        loaded = load(files / side.about.side)
        assert loaded.about.given == side.about.given and loaded.about.noise == side.about.noise
        for read_back, saved in (
            (loaded.given, side.given),
            *((loaded.records[t], side.records[t]) for t in side.records),
        ):
            assert read_back.keys() == saved.keys()
            for name, array in saved.items():
                assert read_back[name].dtype == array.dtype and read_back[name].tobytes() == array.tobytes()
    assert compare_recordings(load(files / "torch"), load(files / "flax")).status == "pass"


@pytest.mark.parametrize("tier", ["float64", "float32"])
def test_control_a_changed_tensor_fails(tier, torch_side, flax_side):
    record = flax_side.records[tier]
    changed = record | {OUTPUT: record[OUTPUT] * 1.001}
    wrong = replace(flax_side, records=flax_side.records | {tier: changed})
    result = compare_recordings(torch_side, wrong)
    assert result.status == "fail"
    assert [(t, r.phase, r.name) for t, rows in result.rows.items() for r in rows if not r.passed] == [
        (tier, "forward", "output")
    ]


def test_control_a_wrong_optimizer_fails_at_the_update(torch_side):
    case = get(NAME)
    rate = case.turn.optimizer.keywords["lr"]  # type: ignore[attr-defined]
    case = case.with_turn(optimizer=partial(optim.SGD, lr=rate * 1.000001))
    result = compare_recordings(torch_side, record_case(case, "flax", torch_side))
    assert {r.phase for r in result.rows["float64"] if not r.passed} == {"update", "step 2 update"}


def test_the_noise_of_updates_by_element_is_kept(files, torch_side, flax_side):
    key = next(key for key in torch_side.records["float64"] if key.phase == "update")
    noisy = replace(torch_side.about, noise=torch_side.about.noise | {key: 1.0})
    records = flax_side.records["float64"]
    moved = replace(flax_side, records=flax_side.records | {"float64": records | {key: records[key] * (1 + 1e-8)}})
    for spread, said in (({key: np.ones_like(torch_side.records["float64"][key])}, True), ({}, False)):
        save(replace(torch_side, about=noisy, spread=spread), files / "noisy")
        rows = compare_recordings(load(files / "noisy"), moved).rows["float64"]
        (row,) = (row for row in rows if row.key == key)
        assert ("noise 1.0e+00" not in row.because) is said and "above the ceiling" in row.because


def test_pytorch_against_pytorch(torch_side):
    """Compares two recordings of PyTorch, as between two machines or versions."""
    repeated = record_case(get(NAME), "torch", torch_side, probes=2)
    assert repeated.about.given == torch_side.about.given
    result = compare_recordings(torch_side, repeated)
    assert result.status == "pass" and result.worst("float64").gap == 0


@pytest.mark.slow
def test_a_users_pair_with_buffers_dropout_and_slots(tmp_path):
    learning = Learning(TRAINING["loss"], TRAINING["optimizer"])
    twin = twin_of_pair(small(), SmallTorch(), (INPUTS,), learning=learning, labels=True, steps=2)
    tiers = ("float64",)
    save(record_torch(twin, probes=1, tiers=tiers), tmp_path / "torch")
    recording = load(tmp_path / "torch")
    whole = compare_recordings(recording, record_flax(twin, recording, tiers=tiers))
    assert whole.status == "pass"
    checked = check_twin(twin, tiers=tiers, probes=1, layers=False)
    steps = [
        r for r in checked.rows["float64"] if not r.phase.startswith(("after", "at zero")) and "argmax" not in r.name
    ]
    assert whole.rows["float64"] == steps
    turns = supervised(TRAINING["loss"], TRAINING["optimizer"])
    alone = flax_twin(small(), recording, turns, Observed(TRAINING["loss"]))
    result = compare_recordings(recording, record_flax(alone, recording, tiers=tiers))
    assert result.status == "pass" and result.rows == whole.rows
    assert any(r.phase == "step 2 optimizer" for r in result.rows["float64"])


def test_the_command(tmp_path, capsys):
    torch = tmp_path / "torch.npz"
    flax = tmp_path / "flax.npz"
    assert run("record", NAME, "--side", "torch", "--steps", "1", "--probes", "1", "--out", torch) == 0
    assert run("record", NAME, "--side", "flax", "--given", torch, "--out", flax) == 0
    assert run("compare", torch, flax, "--json", tmp_path / "json") == 0
    assert "1 of 1 cases pass" in capsys.readouterr().out and (tmp_path / "json").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["flax.npz", "json", "torch.npz"]


def python(missing, tmp_path, *args):
    """Runs Python where the packages in `missing` cannot be imported."""
    blocker = (
        "import sys\nclass Blocked:\n    def find_spec(self, name, *_):\n"
        f"        if name.partition('.')[0] in {missing!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
    )
    (tmp_path / "sitecustomize.py").write_text(blocker)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    return subprocess.run([sys.executable, *map(str, args)], capture_output=True, text=True, env=environment)


def test_comparing_needs_no_pytorch(files, flax_side):
    bare = partial(python, ("torch", "torchvision"), files)
    assert "No module named 'torch'" in bare("-c", "import torch").stderr
    assert not bare("-c", "import parity.offline.recording").stderr  # nor does Flax's side
    seen = bare("-m", "parity.offline", files / "torch", files / "flax")
    assert seen.returncode == 0 and seen.stdout.startswith("1 of 1 cases pass"), seen.stderr
    record = flax_side.records["float64"]
    bad = {"float64": record | {LOSS: record[LOSS] * 2}}
    save(replace(flax_side, records=bad), files / "bad")
    seen = bare("-m", "parity.offline", files / "torch", files / "bad")
    assert seen.returncode == 1 and f"{NAME}: float64 forward/loss" in seen.stdout
    seen = bare("-m", "parity.offline", files / "torch", files / "none")
    assert seen.returncode == 2 and seen.stderr.count("\n") == 1


@pytest.mark.slow
def test_flaxs_side_needs_no_pytorch(files, torch_side):
    bare = partial(python, ("torch", "torchvision"), files)
    assert "No module named 'torch'" in bare("-c", "import torch").stderr
    options = ("--given", files / "torch", "--out", files / "made")
    seen = bare("-m", "parity", "record", NAME, "--side", "flax", *options)
    assert seen.returncode == 0, seen.stderr
    assert compare_recordings(torch_side, load(files / "made")).status == "pass"


def test_states_that_were_changed_are_refused(files, torch_side):
    arrays = dict(torch_side.given)
    name = next(name for name in arrays if name.startswith("state/0/tensor/"))
    arrays[name] = arrays[name] + 1
    save(replace(torch_side, given=arrays), files / "changed")
    with pytest.raises(InputError, match="the states in it are not those that were run"):
        load(files / "changed")


def test_files_that_do_not_belong_together(torch_side, flax_side):
    def other(side, **changes):
        return replace(side, about=replace(side.about, **changes))

    for left, right, reason in (
        (torch_side, other(flax_side, name="lenet"), "of different cases: linear-regression and lenet"),
        (torch_side, other(flax_side, full=True), "linear-regression in full size"),
        (torch_side, other(flax_side, given="x"), "start from different states"),
        (flax_side, flax_side, "both files are Flax's"),
        (other(torch_side, errors={}), flax_side, "has no float32 run"),
    ):
        with pytest.raises(InputError, match=reason):
            compare_recordings(left, right)


def test_flax_needs_pytorchs_run_of_the_same_case(torch_side, flax_side):
    with pytest.raises(InputError, match="--given FILE"):
        record_case(get(NAME), "flax")
    with pytest.raises(InputError, match="--given is torch's run of linear-regression; PyTorch's of lenet is right"):
        record_case(get("lenet"), "flax", torch_side)
    with pytest.raises(InputError, match="--given is flax's run of linear-regression"):
        record_case(get(NAME), "flax", flax_side)
    with pytest.raises(InputError, match="--probes 0 is too few"):
        record_case(get(NAME), "torch", probes=0)


def test_a_model_that_does_not_fit_the_file(torch_side):
    class Other(nnx.Module):
        def __init__(self):
            self.linear = nnx.Linear(2, 3, rngs=nnx.Rngs(0))

    with pytest.raises(InputError, match="in the file, .* in Flax"):
        flax_twin(Other(), torch_side, supervised(lambda *_: 0.0, optim.SGD(lr=0.1)))
