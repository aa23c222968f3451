"""Steps in both frameworks are timed, once their losses agree."""

import gc
import json
import time
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from small_bench import MLP, bench, result, shown

from d2l_jax import optim
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from parity.bench import compiler, conditions, torch_programs
from parity.bench.batch import random_batch, torch_batch
from parity.bench.document import to_json
from parity.bench.limit import TooSlow, time_limit
from parity.bench.picture import bench_picture
from parity.bench.plan import Plan
from parity.bench.report import bench_tables
from parity.bench.steps import bench_cases


@pytest.mark.slow
def test_mlp_is_timed_on_both_sides_and_reported(tmp_path):
    stages = []
    outcome = bench(MLP, progress=lambda name, stage: stages.append((name, stage)))
    assert outcome.inputs == (4, 28, 28, 1) and outcome.status in ("ok", "disturbed"), outcome.error
    stages_of_phase = ["JAX compiles", "memory layouts", "timing"]
    expected = ["counting", *(f"{kind}: {stage}" for kind in ("evaluation", "training") for stage in stages_of_phase)]
    assert stages == [("mlp", stage) for stage in expected]
    document = json.loads(json.dumps(to_json([outcome], {"device": "cpu"}), allow_nan=False))
    assert document["environment"]["torch_threads"] == document["environment"]["jax_threads"] >= 1
    (entry,) = document["cases"]
    assert {"name", "batch", "jax", "torch_eager", "torch_compile", "ratio_eager", "ratio_compile"} <= set(entry)
    assert entry["batch"] == 4 and entry["jax"]["compile_s"] > 0 and entry["jax"]["repeats"] >= 5
    assert entry["torch_eager"]["step_s"] >= entry["torch_eager"]["min_s"] > 0
    assert entry["torch_compile"] == {"compile_s": None, "step_s": None, "reason": "not asked for"}
    assert entry["ratio_compile"] is None
    evaluation = entry["evaluation"]
    assert evaluation["jax_s"] > 0 and evaluation["torch_eager_s"] > 0 and evaluation["torch_compile_s"] is None
    assert {"ratio_eager", "ratio_compile", "torch_layout"} <= set(evaluation)
    assert entry["book_batch"] == 256 and entry["gflop"] > 0


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [pytest.param("dropout-mlp", marks=SLOW), "edge-detector", "weight-decay", pytest.param("my-linear", marks=SLOW)],
)
def test_dropout_image_targets_decay_and_untrained_weights_agree_too(name):
    outcome = bench(get(name))
    assert outcome.status in ("ok", "disturbed"), (outcome.error, outcome.training.gaps)
    assert outcome.training.compared.startswith("evaluation" if name == "dropout-mlp" else "losses")
    assert outcome.evaluation.compared.startswith("losses")


@pytest.mark.parametrize("name", ["mlp", pytest.param("dropout-mlp", marks=SLOW)])
def test_one_wrong_weight_matrix_is_found_and_nothing_is_timed(name, monkeypatch):
    right = torch_programs.state_dict

    def planted(model):
        weights = dict(right(model))
        last = [key for key in weights if key.endswith("weight")][-1]
        return weights | {last: weights[last] * np.float32(1.01)}

    monkeypatch.setattr(torch_programs, "state_dict", planted)
    outcome = bench(get(name))
    assert outcome.status == "disagree" and outcome.training.measured is None and outcome.ratio_eager is None
    assert outcome.evaluation.measured is None
    assert to_json([outcome], {})["cases"][0]["jax"]["step_s"] is None
    assert "disagree" in shown(bench_tables([outcome]))


def test_a_wrong_learning_rate_is_found_by_the_later_losses(monkeypatch):
    right = torch_programs.torch_turn
    wrong = partial(optim.SGD, lr=0.2)
    monkeypatch.setattr(torch_programs, "torch_turn", lambda turn: right(turn._replace(optimizer=wrong)))
    outcome = bench(MLP)
    assert outcome.status == "disagree" and outcome.training.gaps["jax"][0] < 1e-5
    assert outcome.evaluation.status in ("ok", "disturbed")


def test_a_failure_of_torch_compile_is_reported_and_the_rest_is_timed(monkeypatch):
    def fails(*_):
        raise RuntimeError("no C++ compiler\nat all")

    monkeypatch.setattr(compiler, "start_compiler", fails)
    outcome = bench(MLP, compile=True)
    entry = to_json([outcome], {})["cases"][0]
    assert entry["torch_compile"]["reason"] == "RuntimeError: no C++ compiler" and entry["ratio_compile"] is None
    assert outcome.stats("torch_eager") and "no C++ compiler" in shown(bench_tables([outcome]))


@pytest.mark.slow
def test_a_torch_compile_that_takes_too_long_is_reported(monkeypatch):
    monkeypatch.setattr(compiler, "start_compiler", lambda device: None)
    monkeypatch.setattr(torch, "compile", lambda _, mode: lambda *batch: time.sleep(20))
    outcome = bench(MLP, compile=True, compile_limit=0.2)
    assert outcome.training.missing == {"torch_compile": "was not ready after 0.2 s"} and outcome.stats("jax")


def test_a_time_limit_ends_with_its_block():
    with pytest.raises(TooSlow), time_limit(0.01):
        time.sleep(5)
    with time_limit(0.05):
        pass
    time.sleep(0.1)


def test_a_case_that_fails_does_not_stop_the_others():
    broken = replace(MLP, name="broken", args={"num_outputs": -1})
    first, second = bench_cases([broken, MLP], Plan(batch_size=2, repeats=5, seconds=0.0, compile=False))
    assert first.status == "error" and first.error and second.status in ("ok", "disturbed")
    assert to_json([first], {})["cases"][0]["jax"]["reason"] == first.error


@pytest.mark.slow
def test_the_programs_of_a_case_are_let_go(monkeypatch):
    def programs() -> int:
        gc.collect()
        return len(jax.devices("cpu")[0].client.live_executables())

    few = Plan(batch_size=2, repeats=5, seconds=0.0, compile=False)
    bench_cases([MLP], few)
    before = programs()
    monkeypatch.setattr("parity.bench.steps.forget_programs", lambda: None)
    bench_cases([MLP], few)
    assert programs() > before  # a control: they would stay
    monkeypatch.undo()
    bench_cases([MLP], few)
    assert programs() == before


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"batch_size": -3}, {"repeats": 4}, {"gflop": 0.0}, {"device": "gpu"}]
)
def test_a_wrong_argument_is_an_input_error(wrong):
    if wrong.get("device") == "gpu" and (torch.cuda.is_available() or jax.default_backend() == "gpu"):
        pytest.skip("there is a GPU")
    with pytest.raises(InputError):
        bench(MLP, **wrong)


def test_both_sides_get_the_same_numbers():
    case = get("edge-detector")
    batch = random_batch(case, 3)
    tensors = torch_batch(batch, "cpu")
    targets = batch.tensors["targets"]
    np.testing.assert_array_equal(tensors["input"][0].permute(0, 2, 3, 1), batch.inputs[0])
    np.testing.assert_array_equal(tensors["targets"].permute(0, 2, 3, 1), targets)
    assert batch.inputs[0].dtype == targets.dtype == np.float32


@pytest.mark.slow
def test_settings_come_back_after_a_run():
    def settings():
        cached = jax.config.values["jax_enable_compilation_cache"]
        kernels = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
        return torch.get_num_threads(), *kernels, jax.config.values["jax_default_device"], cached

    before = settings()
    bench(MLP)
    assert settings() == before
    with conditions.same_conditions():
        assert settings()[1:4] == (False, True, jax.devices("cpu")[0])


def test_what_is_timed_is_compiled_and_not_found_in_a_cache(set_jax, tmp_path):
    def compiled(factor):
        jax.jit(lambda x: jnp.sin(x) * factor).lower(jnp.ones(3)).compile()
        return len(list(tmp_path.iterdir()))

    set_jax("jax_persistent_cache_min_compile_time_secs", 0)
    set_jax("jax_compilation_cache_dir", str(tmp_path))
    before = compiled(2)
    with conditions.same_conditions():
        within = compiled(3)
    assert 0 < before == within < compiled(4)


@pytest.mark.parametrize(
    "precision, name", [("highest", "highest"), ("tf32", "tensorfloat32"), ("bfloat16", "default")]
)
def test_products_are_made_as_the_precision_says(precision, name):
    with conditions.same_conditions(precision):
        assert jax.config.values["jax_default_matmul_precision"] == name == conditions.matmul_precision(precision)


def test_the_picture_has_a_bar_per_ratio(tmp_path):
    bench_picture([result(), result(others=99.0)], tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError):
        bench_picture([result(gap=1.0)], tmp_path / "none.png")
