"""What is made of times and losses, without timing anything."""

import math

import pytest
from small_bench import result

from parity.bench import timing
from parity.bench.agreement import agree, loss_gaps
from parity.bench.timing import Measurement, Round, Stats, summarize, take_turns
from parity.bench.usage import QUIET, Usage, cpus


def test_statistics_of_a_known_list():
    assert Stats.of([5.0, 1.0, 2.0, 4.0, 3.0]) == Stats(3.0, 1.0, 2.0, 5)
    assert Stats.of([2.0]) == Stats(2.0, 2.0, 0.0, 1)


def test_rounds_in_which_others_were_busy_are_left_out():
    quiet = Round({"a": [1.0] * 5}, 0.0)
    busy = Round({"a": [9.0] * 5}, 1.5)
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
    measured = take_turns(programs, repeats=5, seconds=0.0)
    assert set(measured.stats) == {"a", "b"}
    assert all(5 <= measured.stats[name].number < calls[name] for name in calls)


@pytest.mark.parametrize(
    ("repeats", "seconds", "others", "rounds"),
    [(12, 60.0, 0.0, 12), (12, 0.0, 0.0, 3), (12, 0.0, 99.0, 3)],
)
def test_every_program_gets_its_rounds_while_there_is_time_and_never_under_five_calls(
    monkeypatch, repeats, seconds, others, rounds
):
    monkeypatch.setattr(timing, "_round", lambda programs: Round({name: [1.0] * 2 for name in programs}, others))
    measured = take_turns({"a": print, "b": print}, repeats=repeats, seconds=seconds)
    assert measured.rounds == rounds and measured.stats["b"].number == 2 * rounds
    assert measured.disturbed == (others > 0)


def test_few_quiet_calls_are_no_statistics_and_the_rest_is_disturbed():
    quiet = Round({"a": [1.0] * 2}, 0.0)
    busy = Round({"a": [9.0] * 2}, 1.5 * QUIET * cpus())
    few = summarize([quiet, busy, quiet])
    enough = summarize([quiet, busy, quiet, quiet])
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
    assert not agree(gaps) and agree(gaps, by_one_bit=(0.0, 4e-4, 8e-4))
    assert not agree(gaps, by_one_bit=(0.0, 2e-4, 8e-4)) and not agree(gaps, by_one_bit=(0.1,))
    assert not agree(loss_gaps({"torch_eager": (2.0, 2.0), "jax": (2.0, 2.2)}), by_one_bit=(0.1, 0.1))
