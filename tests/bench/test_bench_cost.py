"""How much a step computes, moves and holds, and how that compares with what the machine can do."""

import json
import mmap
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from parity.bench import memory
from parity.bench.cost import affordable, arithmetic, in_full, loops, traced_training, traffic
from parity.bench.document import to_json
from parity.bench.phase import Timed
from parity.bench.picture import bench_picture
from parity.bench.plan import Plan
from parity.bench.programs import Start
from parity.bench.report import bench_markdown
from parity.bench.result import BenchResult
from parity.bench.roofline import Ceilings, ceilings, point
from parity.bench.timing import Measurement, Stats

MLP = get("mlp")
GRU = get("gru-lm")
ROOF = Ceilings(flops=100e9, bandwidth=10e9)


def flops(lowered):
    return lowered.cost_analysis()["flops"]


def timed(flops=1e9, traffic=1e8):
    times = {"jax": 0.02, "torch_eager": 0.04}
    start = Start((0.1, 0.1, 0.1), (1.0, 1.0, 1.0), 0.5)
    measured = Measurement({name: Stats.of([t] * 5) for name, t in times.items()}, 0.0, 1, 0)
    phase = Timed(dict.fromkeys(times, start), {}, {"jax": (0.0,)}, measured=measured)
    return BenchResult("x", (2, 3), 2, phase, phase, flops, traffic)


def test_the_arithmetic_of_a_dense_network_is_that_of_its_products():
    products = 2 * 8 * (2 * 784 * 256 + 3 * 256 * 10)  # no gradient for the images
    assert arithmetic(traced_training(MLP, 8)) == pytest.approx(products, rel=0.1)


def test_a_loop_counts_as_often_as_it_runs():
    def scanned(x):
        return jax.lax.scan(lambda carry, _: (carry @ carry, None), x, length=7)[0]

    traced = jax.make_jaxpr(scanned)(jnp.ones((16, 16)))
    assert [length for length, _ in loops(traced.jaxpr)] == [7]
    assert in_full(traced, flops) == pytest.approx(7 * 2 * 16**3, rel=0.02)
    once = flops(jax.jit(scanned).lower(jnp.ones((16, 16))))
    assert once < 2 * 2 * 16**3, "XLA counts loops in full by now: cost.py need not"
    assert traffic(traced, 0.0) >= 6 * 2 * 8 * 16**2


def test_of_alternatives_only_the_one_of_this_platform_counts():
    def chosen(x):
        long = lambda x: jax.lax.scan(lambda c, _: (c + 1, None), x, length=9)[0]  # noqa: E731
        return jax.lax.platform_dependent(x, cpu=lambda x: x + 1, default=long)

    assert list(loops(jax.make_jaxpr(chosen)(jnp.ones(3)).jaxpr)) == []


def test_a_longer_sequence_has_more_arithmetic():
    short, long = (arithmetic(traced_training(case, 4)) for case in (GRU, replace(GRU, inputs=_twice(GRU))))
    assert long == pytest.approx(2 * short, rel=0.1)


def _twice(case):
    (tokens,) = case.arrays
    return (tokens._replace(shape=(tokens.shape[0], 2 * tokens.shape[1])),)


def test_the_batch_is_halved_until_the_arithmetic_is_within_the_budget():
    whole = arithmetic(traced_training(MLP, 256)) / 1e9
    assert affordable(MLP, whole * 1.01) == 256
    assert affordable(MLP, whole * 0.6) == 128
    size = affordable(MLP, whole / 10)
    assert size in (16, 32) and arithmetic(traced_training(MLP, size)) <= whole * 1e8
    assert affordable(MLP, 1e-9) == 1


def test_ceilings_are_measured():
    roof = ceilings(sides=(64,), copied=2**12, seconds=0.0)
    assert roof.flops > 0 and roof.bandwidth > 0


def test_the_attainable_time_is_that_of_the_lower_ceiling():
    assert ROOF.attainable(1e9, 1e6) == 0.01 and ROOF.attainable(1e6, 1e9) == 0.1
    position = point(timed(), ROOF)
    assert position.intensity == 10.0 and position.attainable_s == 0.01
    assert position.shares == {"jax": 0.5, "torch_eager": 0.25}
    assert position.rates["jax"] == pytest.approx(50e9)
    assert point(timed(flops=0.0), ROOF) is None and point(timed(), None) is None


def test_the_roofline_is_reported_and_drawn(tmp_path):
    document = json.loads(json.dumps(to_json([timed()], {}, roof=ROOF), allow_nan=False))
    assert document["ceilings"] == {"flops": 100e9, "bandwidth": 10e9}
    assert document["cases"][0]["roofline"]["shares"]["jax"] == 0.5
    assert "50 / 25" in bench_markdown([timed()], ROOF) and "roof" not in bench_markdown([timed()])
    bench_picture([timed()], tmp_path / "roof.png", roof=ROOF)
    assert (tmp_path / "roof.png").read_bytes().startswith(b"\x89PNG")


def test_more_memory_in_use_is_seen():
    size = 2**26
    before = memory.forget_peak()
    with mmap.mmap(-1, size) as block:  # given back when it ends, whatever the C library does with what is freed
        for _ in range(64):
            block.write(bytes(size // 64))
        assert memory.peak() - before >= size * 0.9
    assert memory.forget_peak() - before < size * 0.9


@pytest.mark.slow
def test_the_memory_of_a_step_is_measured_in_a_process_of_its_own():
    peaks = memory.peak_memory(get("linear-regression"), 2)
    assert set(peaks) == {"jax", "torch"} and all(bytes >= 0 for bytes in peaks.values())
    assert "memory, MB" in bench_markdown([replace(timed(), memory=peaks)])


@pytest.mark.slow
def test_memory_that_cannot_be_measured_is_an_error():
    with pytest.raises(InputError, match="framework"):
        memory.growth("mlp", "theano", 2)
    with pytest.raises(RuntimeError, match="unknown model"):
        memory.peak_memory(replace(MLP, name="mlpp"), 2)
    with pytest.raises(InputError, match="--memory"):
        Plan(memory=True, device="gpu")
