"""The benchmark's figures, checks and reports. No test looks at how long anything takes."""

import io
import json
import math
import shutil
import time
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from rich.console import Console

from d2l_jax import Observed, optim
from d2l_jax.catalog import get
from d2l_jax.data import Dataset
from d2l_jax.errors import InputError
from parity.bench import compiler, conditions, epochs, jax_programs, steps, timing, torch_programs
from parity.bench import phase as phases
from parity.bench.agreement import agree, loss_gaps
from parity.bench.batch import random_batch, torch_batch
from parity.bench.document import to_json
from parity.bench.epochs import EpochResult, epoch_comparison
from parity.bench.epochs_report import epoch_json, epoch_table
from parity.bench.limit import TooSlow, time_limit
from parity.bench.means import geometric_mean, geometric_means
from parity.bench.phase import Phase
from parity.bench.picture import bench_picture
from parity.bench.plan import Plan
from parity.bench.programs import Start, Task
from parity.bench.report import bench_markdown, bench_tables, means_lines
from parity.bench.result import BenchResult
from parity.bench.steps import bench_cases
from parity.bench.timing import Measurement, Round, Stats, summarize, take_turns
from parity.bench.usage import QUIET, Usage, cpus

MLP = get("mlp")
START = Start((0.5, 0.1, 0.1), (2.0, 1.5, 1.0), 0.4)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Two threads of PyTorch that contend with other work wait for each other."""
    monkeypatch.setattr(conditions, "cpu_threads", lambda: 1)


def measured(times, others=0.0):
    return Measurement({name: Stats.of([t] * 5) for name, t in times.items()}, others, 1, 0)


def phase(others=0.0, gap=0.0, **more):
    times = {"jax": 0.002, "torch_eager": 0.003, "torch_compile": 0.001} | more
    gaps = {"jax": (0.0, gap, 0.0), "torch_compile": (0.0, 0.0, 0.0)}
    return Phase(dict.fromkeys(times, START), {}, gaps, "", measured=measured(times, others))


def result(others=0.0, gap=0.0, name="x", **more):
    return BenchResult(name, (2, 3), 4, phase(others, gap, **more), phase())


def bench(case, **options):
    progress = {"progress": options.pop("progress")} if "progress" in options else {}
    settings = {"batch_size": 4, "repeats": 5, "seconds": 0.1, "compile": False} | options
    return bench_cases([case], Plan(**settings), **progress)[0]


def shown(*tables):
    console = Console(width=250, record=True, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.export_text()


def test_statistics_of_a_known_list():
    assert Stats.of([5.0, 1.0, 2.0, 4.0, 3.0]) == Stats(3.0, 1.0, 2.0, 5)
    assert Stats.of([2.0]) == Stats(2.0, 2.0, 0.0, 1)


def test_rounds_in_which_others_were_busy_are_left_out():
    quiet, busy = Round({"a": [1.0] * 5}, 0.0), Round({"a": [9.0] * 5}, 1.5)
    assert summarize([busy, quiet, busy]) == Measurement({"a": Stats(1.0, 1.0, 0.0, 5)}, 0.0, 1, 2)
    only = summarize([busy, busy])
    assert only.disturbed and only.stats["a"].number == 10 and only.left_out == 0
    assert not summarize([Round({"a": [1.0]}, None)]).disturbed


def test_others_are_what_everyone_used_less_what_we_used():
    assert Usage(3.0, 1.5, 12.0).others_since(Usage(1.0, 0.5, 8.0)) == 1.5
    assert Usage(3.0, 1.5, None).others_since(Usage(1.0, 0.5, 8.0)) is None
    assert Usage.total([Usage(1.0, 2.0, 3.0), Usage(4.0, 5.0, 6.0)]) == Usage(5.0, 7.0, 9.0)
    assert Usage.total([Usage(1.0, 2.0, 3.0), Usage(4.0, 5.0, None)]).everyone is None


def test_the_calls_of_the_lead_in_do_not_count():
    calls = {"a": 0, "b": 0}
    programs = {name: lambda name=name: calls.update({name: calls[name] + 1}) for name in calls}
    found = take_turns(programs, repeats=5, seconds=0.0)
    assert set(found.stats) == {"a", "b"}
    assert all(5 <= found.stats[name].number < calls[name] for name in calls)


@pytest.mark.parametrize(
    ("repeats", "seconds", "others", "rounds"),
    [(12, 60.0, 0.0, 12), (12, 0.0, 0.0, 3), (12, 0.0, 99.0, 3)],
)
def test_every_program_gets_its_rounds_while_there_is_time_and_never_under_five_calls(
    monkeypatch, repeats, seconds, others, rounds
):
    monkeypatch.setattr(timing, "_round", lambda programs: Round({name: [1.0] * 2 for name in programs}, others))
    found = take_turns({"a": print, "b": print}, repeats=repeats, seconds=seconds)
    assert found.rounds == rounds and found.stats["b"].number == 2 * rounds
    assert found.disturbed == (others > 0)


def test_few_quiet_calls_are_no_statistics_and_the_rest_is_disturbed():
    quiet, busy = Round({"a": [1.0] * 2}, 0.0), Round({"a": [9.0] * 2}, 1.5 * QUIET * cpus())
    few, enough = summarize([quiet, busy, quiet]), summarize([quiet, busy, quiet, quiet])
    assert few.stats["a"].number == 6 and few.disturbed
    assert enough.stats["a"] == Stats(1.0, 1.0, 0.0, 6) and not enough.disturbed


def test_a_ratio_is_pytorchs_time_over_jaxs():
    assert result().status == "ok"
    assert result().ratio_eager == pytest.approx(1.5) and result().ratio_compile == pytest.approx(0.5)


@pytest.mark.parametrize(("doubt", "status"), [({"gap": 0.1}, "disagree"), ({"others": 99.0}, "disturbed")])
def test_a_doubtful_result_has_no_ratio(doubt, status):
    spoilt = result(**doubt)
    assert spoilt.status == status and spoilt.ratio_eager is None and spoilt.ratio_compile is None


def test_losses_agree_only_within_the_tolerance_of_their_step():
    assert agree(loss_gaps({"torch_eager": (2.0, 2.0), "jax": (2.0, 2.001)}))
    assert not agree(loss_gaps({"torch_eager": (2.0, 2.0), "jax": (2.001, 2.0)}))
    assert not agree(loss_gaps({"torch_eager": (math.inf,), "jax": (math.inf,)}))
    assert not agree({})


def test_later_losses_may_part_as_far_as_pytorchs_own():
    gaps = loss_gaps({"torch_eager": (2.0, 2.0, 2.0), "jax": (2.0, 2.01, 2.02)})
    assert not agree(gaps) and agree(gaps, own=(0.0, 4e-4, 8e-4))
    assert not agree(gaps, own=(0.0, 2e-4, 8e-4)) and not agree(gaps, own=(0.1,))
    assert not agree(loss_gaps({"torch_eager": (2.0, 2.0), "jax": (2.0, 2.2)}), own=(0.1, 0.1))


def test_mlp_is_timed_on_both_sides_and_reported(tmp_path):
    stages = []
    found = bench(MLP, progress=lambda name, stage: stages.append((name, stage)))
    assert found.inputs == (4, 28, 28, 1) and found.status in ("ok", "disturbed"), found.error
    own = ["JAX compiles", "memory layouts", "timing"]
    told = ["counting", *(f"{kind}: {stage}" for kind in ("evaluation", "training") for stage in own)]
    assert stages == [("mlp", stage) for stage in told]
    document = json.loads(json.dumps(to_json([found], {"device": "cpu"}), allow_nan=False))
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


@pytest.mark.parametrize("name", ["dropout-mlp", "edge-detector", "weight-decay", "my-linear"])
def test_dropout_image_targets_decay_and_untrained_weights_agree_too(name):
    found = bench(get(name))
    assert found.status in ("ok", "disturbed"), (found.error, found.training.gaps)
    assert found.training.compared.startswith("evaluation" if name == "dropout-mlp" else "losses")
    assert found.evaluation.compared.startswith("losses")


@pytest.mark.parametrize("name", ["mlp", "dropout-mlp"])
def test_one_wrong_weight_matrix_is_found_and_nothing_is_timed(name, monkeypatch):
    right = torch_programs.state_dict

    def planted(model):
        weights = dict(right(model))
        last = [key for key in weights if key.endswith("weight")][-1]
        return weights | {last: weights[last] * np.float32(1.01)}

    monkeypatch.setattr(torch_programs, "state_dict", planted)
    found = bench(get(name))
    assert found.status == "disagree" and found.training.measured is None and found.ratio_eager is None
    assert found.evaluation.measured is None
    assert to_json([found], {})["cases"][0]["jax"]["step_s"] is None
    assert "disagree" in shown(bench_tables([found]))


def test_a_wrong_learning_rate_is_found_by_the_later_losses(monkeypatch):
    right = torch_programs.torch_turn
    wrong = partial(optim.SGD, lr=0.2)
    monkeypatch.setattr(torch_programs, "torch_turn", lambda turn: right(turn._replace(optimizer=wrong)))
    found = bench(MLP)
    assert found.status == "disagree" and found.training.gaps["jax"][0] < 1e-5
    assert found.evaluation.status in ("ok", "disturbed")


def test_a_failure_of_torch_compile_is_reported_and_the_rest_is_timed(monkeypatch):
    def fails(*_):
        raise RuntimeError("no C++ compiler\nat all")

    monkeypatch.setattr(compiler, "start_compiler", fails)
    found = bench(MLP, compile=True)
    entry = to_json([found], {})["cases"][0]
    assert entry["torch_compile"]["reason"] == "RuntimeError: no C++ compiler" and entry["ratio_compile"] is None
    assert found.stats("torch_eager") and "no C++ compiler" in shown(bench_tables([found]))


def test_a_torch_compile_that_takes_too_long_is_reported(monkeypatch):
    monkeypatch.setattr(compiler, "start_compiler", lambda device: None)
    monkeypatch.setattr(torch, "compile", lambda _, mode: lambda *batch: time.sleep(20))
    found = bench(MLP, compile=True, compile_limit=0.2)
    assert found.training.missing == {"torch_compile": "was not ready after 0.2 s"} and found.stats("jax")


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
    inputs, targets = torch_batch(batch, "cpu")
    np.testing.assert_array_equal(inputs[0].permute(0, 2, 3, 1), batch.inputs[0])
    np.testing.assert_array_equal(targets.permute(0, 2, 3, 1), batch.targets)
    assert batch.inputs[0].dtype == batch.targets.dtype == np.float32


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


@pytest.fixture
def toy():
    random = np.random.default_rng(0)
    X, y = random.integers(0, 256, (70, 28, 28, 1), np.uint8), random.integers(0, 10, 70, np.int32)
    return Dataset("toy", (X, y), (X, y), "drawn")


def test_an_epoch_is_the_same_in_jax_and_in_pytorch(monkeypatch, toy):
    monkeypatch.setattr(epochs, "TURN_S", 0.0)
    found = epoch_comparison(MLP, toy, batch_size=32, epochs=1)
    assert found.gap < 1e-5 and found.examples == 70
    entry = json.loads(json.dumps(epoch_json(found), allow_nan=False))
    assert {"jax", "torch_memory", "torch_loader", "torch_loader_2_workers"} <= set(entry)
    assert entry["jax"]["epoch_s"] > 0 and entry["torch_loader"]["epochs"] == 1
    assert "mlp" in shown(epoch_table([found]))


def test_epochs_take_turns_in_an_order_that_rotates(monkeypatch):
    monkeypatch.setattr(epochs, "TURN_S", 0.0)
    calls = []
    programs = {name: lambda number, name=name: calls.append((name, number)) or 0.0 for name in ("a", "b")}
    stats, others = epochs._in_turns(programs, 2, lambda stage: None)
    assert calls == [("a", 1), ("b", 1), ("b", 2), ("a", 2)]
    assert {name: found.number for name, found in stats.items()} == {"a": 2, "b": 2} and set(others) == {"a", "b"}


def test_an_epoch_needs_labelled_images_of_the_right_shape(toy):
    for name in ("lenet5", "linear-regression"):
        with pytest.raises(InputError, match="cannot be trained"):
            epoch_comparison(get(name), toy)
    with pytest.raises(InputError, match="batch size"):
        epoch_comparison(MLP, toy, batch_size=71)


def test_an_epoch_has_a_ratio_where_losses_agree_and_the_machine_was_quiet():
    stats = {name: Stats.of([time]) for name, time in (("jax", 2.0), ("torch_memory", 3.0), ("torch_loader", 9.0))}
    others: dict[str, float | None] = {"jax": 0.0, "torch_memory": None, "torch_loader": 99.0}
    found = EpochResult("x", 2, 4, "drawn", stats, others, gap=0.0)
    assert found.ratio("torch_memory") == 1.5
    assert found.ratio("torch_loader") is None and found.status == "disturbed"
    doubtful = replace(found, gap=0.1)
    assert doubtful.status == "disagree" and doubtful.ratio("torch_memory") is None


def test_torch_compile_is_timed_too():
    found = bench(get("linear-regression"), compile=True)
    for phase in (found.training, found.evaluation):
        assert not phase.missing and phase.stats("torch_compile") and agree(phase.gaps)
        assert phase.started["torch_compile"].compile_s == phase.started["torch_compile"].first_calls_s[0]
    assert found.compile_time_ratio > 0


def test_a_wrong_evaluation_is_found_although_training_agrees(monkeypatch):
    right = jax_programs.make_eval_step

    def planted(model, observe, metrics):
        return right(model, Observed(lambda outputs, targets: observe.loss(outputs, targets) * 1.01), metrics)

    monkeypatch.setattr(jax_programs, "make_eval_step", planted)
    found = bench(MLP)
    assert found.evaluation.status == "disagree" and found.evaluation.ratio("torch_eager") is None
    assert found.training.status in ("ok", "disturbed") and found.status == "disagree"


def test_the_faster_memory_layout_of_pytorch_is_taken_and_named(monkeypatch):
    found = bench(get("lenet"), batch_size=2)
    for phase in (found.training, found.evaluation):
        assert set(phase.layouts) == {"contiguous", "channels_last"}
        assert phase.layout == min(phase.layouts, key=phase.layouts.get)
    named = replace(result(), training=replace(phase, layout="channels_last", missing={}))
    assert "PyTorch in channels_last" in shown(bench_tables([named]))
    assert to_json([named], {})["cases"][0]["torch_layout"] == "channels_last"


def test_channels_last_reaches_weights_and_images():
    case = get("residual")
    task = Task(case, case.build(), random_batch(case, 2))
    model, (image,), _ = torch_programs._torch_side(task, "channels_last")
    wide = [p for p in model.parameters() if p.ndim == 4 and p.shape[1] > 1]
    assert wide and all(p.is_contiguous(memory_format=torch.channels_last) for p in wide)
    assert image.is_contiguous(memory_format=torch.channels_last)


def test_without_images_there_is_one_layout():
    assert bench(get("linear-regression")).training.layouts == {}


@pytest.mark.parametrize("name", ["mlp", "linear-regression"])
def test_bfloat16_is_used_on_both_sides(name):
    found = bench(get(name), precision="bfloat16")
    assert found.status in ("ok", "disturbed"), (found.error, found.training.gaps)
    losses = [value for start in found.training.started.values() for value in start.losses]
    assert all(float(torch.tensor(loss).bfloat16()) == loss for loss in losses)
    environment = to_json([found], {}, "bfloat16")["environment"]
    assert environment["dtype"] == environment["precision"] == "bfloat16"


def test_control_float32_losses_are_no_bfloat16_numbers():
    losses = bench(MLP).training.started["torch_eager"].losses
    assert any(float(torch.tensor(loss).bfloat16()) != loss for loss in losses)


def test_a_rougher_precision_has_a_wider_tolerance():
    gaps = {"jax": (1e-2, 1e-2, 1e-2)}
    assert agree(gaps, "bfloat16") and not agree(gaps, "tf32") and not agree(gaps)


def test_geometric_means_count_the_models_below_1():
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    slow, fast = result(torch_eager=0.001), result(torch_eager=0.008)
    means = geometric_means([slow, fast, result(others=99.0), BenchResult("x", (1,), error="no")])
    assert means["eager"] == {"mean": pytest.approx(math.sqrt(0.5 * 4.0)), "models": 2, "below_1": 1}
    assert means["compile_time"]["mean"] == 1.0 and "graphs" not in means
    assert geometric_means([]) == {} == to_json([], {})["geometric_mean"]
    assert means_lines([slow])[0] == "geometric mean of eager: 0.50 over 1 models, 1 of them below 1"


def test_a_batch_within_the_budget_is_shown_beside_the_books():
    assert "2 of 4" in shown(bench_tables([result()]))


def test_the_markdown_has_a_line_per_case_and_as_many_cells_as_headings():
    lines = [line for line in bench_markdown([result(name="a|b"), result(gap=1.0)]).splitlines() if line[:1] == "|"]
    assert len(lines) == 4 and "a\\|b" in lines[2] and "disagree" in lines[3]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_an_interrupt_leaves_what_has_been_timed(monkeypatch):
    made = iter([BenchResult("mlp", (2, 3), 2)])

    def stopped(*_):
        try:
            return next(made)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(steps, "bench_case", stopped)
    assert [result.name for result in bench_cases([MLP, MLP, MLP])] == ["mlp"]
    with pytest.raises(KeyboardInterrupt):
        bench_cases([MLP])


def test_a_thread_that_ends_meanwhile_has_no_name():
    assert conditions._thread_name("/proc/self/task/0/comm") == "" != conditions._thread_name("/proc/self/comm")


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_the_mode_of_cuda_graphs_is_taken_and_computes_the_same_on_a_cpu(monkeypatch):
    taken, right = [], torch.compile
    monkeypatch.setattr(torch, "compile", lambda *args, **options: taken.append(options) or right(*args, **options))
    monkeypatch.setattr(phases, "MODES", {"torch_compile": "reduce-overhead"})
    found = bench(MLP, compile=True)
    assert {"mode": "reduce-overhead"} in taken and not found.error
    assert {"jax", "torch_eager", "torch_compile"} <= found.training.started.keys()
    assert found.training.status != "disagree"
