"""Flax's side alone: what it loads, what it records, and that a scan is its steps in a row."""

import numpy as np
import pytest
from small_twin import apart, flax_run, small_twin, torch_run

from d2l_jax.catalog import get
from d2l_jax.weights.leaf import export
from parity.arrays.key import Key
from parity.sides.disturb import one_ulp
from parity.sides.flax import FlaxRun, precision
from parity.twin.pairing import twin_of
from parity.twin.twin import State


@pytest.fixture(scope="module")
def twin():
    return small_twin()


def exported(run: FlaxRun, state: State) -> dict[str, np.ndarray]:
    """Returns the state as Flax holds it once it is loaded."""
    with precision(run.device):
        params, buffers = run.load(state)
        return export(run.trained, params) | export(run.buffers, buffers)


def test_a_state_is_loaded_bit_for_bit(twin):
    assert max(apart(twin.start.tensors, exported(flax_run(twin, "float32"), twin.start)).values()) == 0


def test_control_a_state_an_ulp_away_is_another(twin):
    weight = twin.start.tensors["out.weight"]
    moved = State(twin.start.tensors | {"out.weight": one_ulp(0)(weight)})
    gaps = apart(twin.start.tensors, exported(flax_run(twin, "float32"), moved))
    assert {key for key, gap in gaps.items() if gap} == {"out.weight"}


def test_a_step_records_the_tensors_of_pytorchs(twin):
    ours = flax_run(twin).taken(1, twin.start, {"momentum_buffer"})
    theirs = torch_run(twin).taken(1, twin.start)
    assert ours.keys() == theirs.keys()
    assert max(apart(theirs, ours).values()) < 1e-10
    assert all(array.dtype == theirs[key].dtype for key, array in ours.items())


@pytest.mark.slow
def test_a_scan_of_the_steps_is_the_steps(twin):
    exact = flax_run(twin).free()
    scanned = flax_run(twin, "float32").free()
    gaps = apart({key: array.astype(np.float64) for key, array in exact.items()}, scanned)
    assert 1e-12 < max(gaps.values()) < 1e-5
    assert {key.step for key in exact} == {1, 2}


def test_turns_without_draws_are_recorded_one_after_the_other():
    twin = twin_of(get("gan"), steps=1)
    assert len(twin.turns) == 2 and not twin.batches[0].random_numbers
    theirs = torch_run(twin).taken(1, twin.start)
    ours = flax_run(twin).taken(1, twin.start, {"step", "exp_avg", "exp_avg_sq"})
    assert max(apart(theirs, ours).values()) < 1e-9


@pytest.mark.slow
def test_control_another_start_gives_other_arrays(twin):
    start = twin.start
    moved = {key: array + 1 if key == "out.bias" else array for key, array in start.tensors.items()}
    right = flax_run(twin).taken(1, start, set())[Key(1, "forward", "output")]
    other = flax_run(twin).taken(1, type(start)(moved), set())[Key(1, "forward", "output")]
    np.testing.assert_allclose(other, right + 1, rtol=1e-5)
