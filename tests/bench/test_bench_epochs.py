"""Epochs, memory layouts, precisions and what is shown of them."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_bench import MLP, bench, result, shown

from d2l_jax.catalog import get
from d2l_jax.data import Dataset
from d2l_jax.data.text.vocab import Vocab
from d2l_jax.errors import InputError
from parity.bench import conditions, epochs, jax_programs, steps, torch_programs
from parity.bench import phase as phases
from parity.bench.agreement import agree
from parity.bench.batch import random_batch
from parity.bench.document import to_json
from parity.bench.epochs import EpochResult, epoch_comparison
from parity.bench.epochs_report import epoch_json, epoch_table
from parity.bench.means import geometric_mean, geometric_means
from parity.bench.programs import Task
from parity.bench.report import bench_markdown, bench_tables, means_lines
from parity.bench.result import BenchResult
from parity.bench.steps import bench_cases
from parity.bench.timing import Stats


@pytest.fixture
def toy():
    random = np.random.default_rng(0)
    X = random.integers(0, 256, (70, 28, 28, 1), np.uint8)
    y = random.integers(0, 10, 70, np.int32)
    return Dataset("toy", (X, y), (X, y), "drawn")


@pytest.mark.slow
def test_an_epoch_is_the_same_in_jax_and_in_pytorch(monkeypatch, toy):
    monkeypatch.setattr(epochs, "TURN_S", 0.0)
    comparison = epoch_comparison(MLP, toy, batch_size=32, epochs=1)
    assert comparison.gap < 1e-5 and comparison.examples == 70
    entry = json.loads(json.dumps(epoch_json(comparison), allow_nan=False))
    assert {"jax", "torch_memory", "torch_loader", "torch_loader_2_workers"} <= set(entry)
    assert entry["jax"]["epoch_s"] > 0 and entry["torch_loader"]["epochs"] == 1
    assert "mlp" in shown(epoch_table([comparison]))


def test_epochs_take_turns_in_an_order_that_rotates(monkeypatch):
    monkeypatch.setattr(epochs, "TURN_S", 0.0)
    calls = []
    programs = {name: lambda number, name=name: calls.append((name, number)) or 0.0 for name in ("a", "b")}
    stats, others = epochs._in_turns(programs, 2, lambda stage: None)
    assert calls == [("a", 1), ("b", 1), ("b", 2), ("a", 2)]
    assert {name: times.number for name, times in stats.items()} == {"a": 2, "b": 2} and set(others) == {"a", "b"}


def test_an_epoch_is_cut_to_the_first_examples(toy):
    examples = epochs.Examples.of(MLP, toy)
    cut = examples.first(32)
    assert (
        len(cut) == 32 and np.array_equal(cut.tensors["input"], toy.train[0][:32]) and len(examples.first(None)) == 70
    )
    with pytest.raises(InputError, match="--examples 0 is too small"):
        examples.first(0)


@pytest.mark.slow
def test_an_epoch_of_rows_of_tokens_is_the_same(monkeypatch):
    monkeypatch.setattr(epochs, "TURN_S", 0.0)
    random = np.random.default_rng(0)
    case = get("word2vec-ptb")
    words = Vocab(["the"] * 8, min_freq=1)
    masks = np.ones((20, 60), np.int32)
    split = (random.integers(0, 2, (20, 1), np.int32), random.integers(0, 2, (20, 60), np.int32)), (masks, masks)
    data = Dataset("toy", split, split, "drawn", vocabs=(words,), form="words")
    comparison = epoch_comparison(case, data, batch_size=8, epochs=1)
    assert comparison.gap < 1e-5 and comparison.examples == 20
    assert set(comparison.stats) == {"jax", "torch_memory", "torch_loader", "torch_loader_2_workers"}


def test_an_epoch_needs_data_of_the_right_kind_and_shape(toy):
    with pytest.raises(InputError, match="lenet5 "):
        epoch_comparison(get("lenet5"), toy)
    with pytest.raises(InputError, match="learns numbers"):
        epoch_comparison(get("linear-regression"), toy)
    with pytest.raises(InputError, match="batch.size"):
        epoch_comparison(MLP, toy, batch_size=71)
    with pytest.raises(InputError, match="no batches"):
        epoch_comparison(get("value-iteration"), toy)


def test_an_epoch_has_a_ratio_where_losses_agree_and_the_machine_was_quiet():
    stats = {name: Stats.of([time]) for name, time in (("jax", 2.0), ("torch_memory", 3.0), ("torch_loader", 9.0))}
    others: dict[str, float | None] = {"jax": 0.0, "torch_memory": None, "torch_loader": 99.0}
    comparison = EpochResult("x", 2, 4, "drawn", stats, others, gap=0.0)
    assert comparison.ratio("torch_memory") == 1.5
    assert comparison.ratio("torch_loader") is None and comparison.status == "disturbed"
    doubtful = replace(comparison, gap=0.1)
    assert doubtful.status == "disagree" and doubtful.ratio("torch_memory") is None


@pytest.mark.slow
def test_torch_compile_is_timed_too():
    outcome = bench(get("linear-regression"), compile=True)
    for phase in (outcome.training, outcome.evaluation):
        assert not phase.missing and phase.stats("torch_compile") and agree(phase.gaps)
        assert phase.started["torch_compile"].compile_s == phase.started["torch_compile"].first_calls_s[0]
    assert outcome.compile_time_ratio > 0


def test_a_wrong_evaluation_is_found_although_training_agrees(monkeypatch):
    right = jax_programs.make_eval_step

    def planted(model, observe, metrics):
        def scaled(nets, tensors):
            observed = observe(nets, tensors)
            return observed | {"loss": observed["loss"] * 1.01}

        return right(model, scaled, metrics)

    monkeypatch.setattr(jax_programs, "make_eval_step", planted)
    outcome = bench(MLP)
    assert outcome.evaluation.status == "disagree" and outcome.evaluation.ratio("torch_eager") is None
    assert outcome.training.status in ("ok", "disturbed") and outcome.status == "disagree"


@pytest.mark.slow
def test_the_faster_memory_layout_of_pytorch_is_taken_and_named(monkeypatch):
    outcome = bench(get("lenet"), batch_size=2)
    for phase in (outcome.training, outcome.evaluation):
        assert set(phase.layouts) == {"contiguous", "channels_last"}
        assert phase.layout == min(phase.layouts, key=phase.layouts.get)
    named = replace(result(), training=replace(phase, layout="channels_last", missing={}))
    assert "PyTorch in channels_last" in shown(bench_tables([named]))
    assert to_json([named], {})["cases"][0]["torch_layout"] == "channels_last"


def test_channels_last_reaches_weights_and_images():
    case = get("residual")
    task = Task(case, case.build(), random_batch(case, 2))
    model, batch = torch_programs._torch_side(task, "channels_last")
    (image,) = batch["input"]
    wide = [p for p in model.parameters() if p.ndim == 4 and p.shape[1] > 1]
    assert wide and all(p.is_contiguous(memory_format=torch.channels_last) for p in wide)
    assert image.is_contiguous(memory_format=torch.channels_last)


def test_without_images_there_is_one_layout():
    assert bench(get("linear-regression")).training.layouts == {}


@pytest.mark.parametrize("name", [pytest.param("mlp", marks=pytest.mark.slow), "linear-regression"])
def test_bfloat16_is_used_on_both_sides(name):
    outcome = bench(get(name), precision="bfloat16")
    assert outcome.status in ("ok", "disturbed"), (outcome.error, outcome.training.gaps)
    losses = [value for start in outcome.training.started.values() for value in start.losses]
    assert all(float(torch.tensor(loss).bfloat16()) == loss for loss in losses)
    environment = to_json([outcome], {}, "bfloat16")["environment"]
    assert environment["dtype"] == environment["precision"] == "bfloat16"


def test_control_float32_losses_are_no_bfloat16_numbers():
    losses = bench(MLP).training.started["torch_eager"].losses
    assert any(float(torch.tensor(loss).bfloat16()) != loss for loss in losses)


def test_a_rougher_precision_has_a_wider_tolerance():
    gaps = {"jax": (1e-2, 1e-2, 1e-2)}
    assert agree(gaps, "bfloat16") and not agree(gaps, "tf32") and not agree(gaps)


def test_geometric_means_count_the_models_below_1():
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    slow = result(torch_eager=0.001)
    fast = result(torch_eager=0.008)
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
    results = iter([BenchResult("mlp", (2, 3), 2)])

    def stopped(*_):
        try:
            return next(results)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(steps, "bench_case", stopped)
    assert [result.name for result in bench_cases([MLP, MLP, MLP])] == ["mlp"]
    with pytest.raises(KeyboardInterrupt):
        bench_cases([MLP])


def test_a_thread_that_ends_meanwhile_has_no_name():
    assert conditions._thread_name("/proc/self/task/0/comm") == "" != conditions._thread_name("/proc/self/comm")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_the_mode_of_cuda_graphs_is_taken_and_computes_the_same_on_a_cpu(monkeypatch):
    calls = []
    stock = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *args, **options: calls.append(options) or stock(*args, **options))
    monkeypatch.setattr(phases, "MODES", {"torch_compile": "reduce-overhead"})
    outcome = bench(MLP, compile=True)
    assert {"mode": "reduce-overhead"} in calls and not outcome.error
    assert {"jax", "torch_eager", "torch_compile"} <= outcome.training.started.keys()
    assert outcome.training.status != "disagree"
