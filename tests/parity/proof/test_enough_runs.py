"""How many runs of PyTorch's a verdict is asked for, and which modules are run again to find its place."""

import numpy as np
import pytest
from keys import key, record
from small_twin import CPU, planted, small_twin

from d2l_jax import nn
from parity.compare.policy import POLICY
from parity.compare.probes import MOST_PROBES, most_probes
from parity.compare.rows import row
from parity.compare.semantics import near
from parity.layers import isolate as isolation
from parity.layers.isolate import isolate
from parity.proof.judging import Roundings, semantics
from parity.proof.steps import modeless

GROSS = row(key("forward/output"), 1e-2, 1e-14, "")
SMALL = row(key("forward/output"), 1e-12, 1e-14, "")
UPDATE = row(key("update/w"), 1e-2, 1e-14, "")
MEASURE = row(key("evaluation/sum of hits"), 0.5, 1e-14, "")
X = np.arange(1.0, 7.0)


@pytest.mark.parametrize(
    ("rows", "noise", "more"),
    [
        ([SMALL], 0.0, True),
        ([GROSS], 0.0, False),
        ([GROSS, SMALL], 0.0, True),
        ([UPDATE], 1e-15, False),
        ([UPDATE], 1e-9, True),  # near its gradient's rounding, perhaps
        ([MEASURE], 0.0, True),  # a tie, perhaps
        ([MEASURE, GROSS], 0.0, False),
        ([row(key("forward/output"), 0.0, 1.0, "")], 0.0, False),
    ],
)
def test_more_noise_is_asked_for_where_it_could_excuse_something(rows, noise, more):
    assert near(rows, POLICY, {UPDATE.key: noise}) is more


@pytest.mark.parametrize(("mistake", "runs"), [(1e-2, 4), (1e-12, MOST_PROBES + 4)])
def test_a_gross_mistake_takes_the_first_runs_and_a_tiny_one_all(mistake, runs):
    taken = []

    def disturbed(seeds, ulps=1, operations=False):
        for seed in seeds:
            taken.append(seed)
            yield record({"forward/x": X})

    oracle, flax = record({"forward/x": X}), record({"forward/x": X * (1 + mistake * np.arange(6))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("parity.proof.judging.longest_sum", lambda twin: 1)
        rows = semantics(oracle, flax, None, disturbed, POLICY, Roundings({}, {}))  # type: ignore[arg-type]
    assert not any(each.passed for each in rows) and len(taken) == runs


def test_a_duller_measure_is_asked_less_where_a_sharper_one_has_found_a_mistake():
    assert most_probes({}) == most_probes({"float32": [GROSS]}) == MOST_PROBES
    assert most_probes({"float64": [GROSS], "float32": []}) == 1


class Twice(nn.Linear):
    def __call__(self, inputs, out_sharding=None):
        return 2 * super().__call__(inputs, out_sharding)


def test_layers_that_are_known_are_not_compiled_again_and_no_row_changes(monkeypatch):
    twin = small_twin(planted("square", Twice), steps=1)
    alone = isolate(twin, "cpu", CPU, POLICY, containers=False)
    afresh = isolate(twin, "cpu", CPU, POLICY, containers=True)
    compiled = []
    run = isolation.flax_records
    monkeypatch.setattr(
        isolation, "flax_records", lambda twin, some, *rest: compiled.extend(some) or run(twin, some, *rest)
    )
    again = isolate(twin, "cpu", CPU, POLICY, containers=True, known=alone.layers)
    known = {layer.label for layer in alone.layers}
    assert not known & {each.layer.label for each in compiled}
    assert [layer.label for layer in again.layers] == [layer.label for layer in afresh.layers]
    assert [(each.key, each.status) for each in again.rows] == [(each.key, each.status) for each in afresh.rows]


BOTH = record({"forward/output": X, "evaluation/output": X})


@pytest.mark.parametrize(
    ("flax", "same"),
    [
        (BOTH, True),
        (record({"forward/output": X, "evaluation/output": 2 * X}), False),
        (record({"forward/output": X}), False),
        (BOTH | record({"buffers/mean": X}), False),
    ],
    ids=["equal", "another evaluation", "one is missing", "buffers"],
)
def test_models_to_which_the_mode_means_nothing(flax, same):
    assert modeless(BOTH, flax) is same
