"""Whole runs in fresh processes, and the compiled programs that outlive one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from parity.bench import whole_runs
from parity.bench.items import Items
from parity.bench.whole_runs import PROGRAMS, WholeRun, whole_run
from parity.bench.whole_runs_report import run_json, run_table


@pytest.mark.slow
def test_a_run_is_timed_from_process_to_accuracy():
    stages = []
    comparison = whole_run(get("softmax"), epochs=1, batch_size=256, data="digits", tell=stages.append)
    assert set(comparison.seconds) == set(comparison.accuracies) == set(PROGRAMS) and len(stages) == 4
    assert comparison.accuracies["jax"] == comparison.accuracies["jax_cached"]
    assert all(0.1 < accuracy <= 1 for accuracy in comparison.accuracies.values())
    entry = json.loads(json.dumps(run_json(comparison), allow_nan=False))
    assert entry["jax"]["s"] > 0 and entry["epochs"] == 1 and {"ratio", "ratio_cached"} <= set(entry)
    assert run_table([comparison]).row_count == 1


def test_a_run_does_not_find_what_the_user_has_compiled(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    _, printed, _ = whole_runs._timed(["-c", "import os; print('JAX_COMPILATION_CACHE_DIR' in os.environ)"])
    assert printed.strip() == "False"


def test_a_run_has_a_ratio_where_the_machine_was_quiet():
    seconds = {"jax": 2.0, "jax_cached": 1.0, "torch": 6.0}
    quiet = WholeRun("x", 1, 1, "drawn", seconds, {}, dict.fromkeys(seconds, 0.0))
    assert (quiet.ratio("jax"), quiet.ratio("jax_cached"), quiet.status) == (3.0, 6.0, "ok")
    busy = WholeRun("x", 1, 1, "drawn", seconds, {}, {"jax": 99.0, "jax_cached": 0.0, "torch": 0.0})
    assert (busy.ratio("jax"), busy.ratio("jax_cached"), busy.status) == (None, 6.0, "disturbed")


def test_a_run_needs_labelled_images_and_a_process_that_ends_well():
    for name in ("gru-lm", "linear-regression"):
        with pytest.raises(InputError, match="a classifier of images is right"):
            whole_run(get(name))
    with pytest.raises(InputError, match="unknown data set"):
        whole_run(get("mlp"), data="digitss")


@pytest.mark.slow
def test_the_notes_way_has_never_heard_of_jax():
    code = "import sys, parity.bench.notes_way as n; import parity.reference; print('jax' in sys.modules, n.train)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False")


def test_items_are_numbers_from_0_to_1_channels_first_and_resized():
    X = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 1), np.uint8)
    image, label = Items(X, np.array([3, 4]))[1]
    np.testing.assert_allclose(image.numpy()[0], X[1, :, :, 0] / 255, rtol=1e-6)
    assert label == 4 and Items(X, np.array([3, 4]), (12, 16))[0][0].shape == (1, 12, 16)
    assert Items(X.repeat(3, axis=-1), np.array([3, 4]))[0][0].shape == (3, 6, 8)


def train(*arguments):
    command = [sys.executable, "-m", "d2l_jax", "train", "softmax", "--data", "digits", "--epochs", "1", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


@pytest.mark.slow
def test_compiled_programs_are_kept_where_asked_and_found_again(tmp_path):
    cache = tmp_path / "compiled"
    assert train("--out", tmp_path / "1", "--compilation-cache", cache).returncode == 0
    compiled = programs(cache)
    assert compiled
    assert train("--out", tmp_path / "2", "--compilation-cache", cache).returncode == 0
    assert programs(cache) == compiled
    assert "compilation" not in (tmp_path / "1" / "metrics.json").read_text()


def programs(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir() if path.name.endswith("-cache")}


def test_a_cache_that_cannot_be_written_is_one_line_and_status_2(tmp_path):
    (tmp_path / "file").write_text("")
    done = train("--out", tmp_path / "1", "--compilation-cache", tmp_path / "file" / "cache")
    assert done.returncode == 2 and done.stderr.startswith("error: cannot write") and done.stderr.count("\n") == 1
