"""Flax's side alone: what it loads, what it records, and that a scan is its steps in a row."""

import numpy as np
import pytest
from small_twin import apart, flax_run, small_twin, torch_run

from parity.sides.flax import precision
from parity.weights.leaf import export


@pytest.fixture(scope="module")
def twin():
    return small_twin()


def test_a_state_is_loaded_bit_for_bit(twin):
    run = flax_run(twin, "float32")
    with precision(run.device):
        params, buffers = run.load(twin.start)
        arrays = export(run.trained, params) | export(run.buffers, buffers)
    for key, array in arrays.items():
        np.testing.assert_array_equal(array, twin.start.tensors[key])


def test_a_step_records_the_tensors_of_pytorchs(twin):
    ours = flax_run(twin).taken(1, twin.start, {"momentum_buffer"})
    theirs = torch_run(twin).taken(1, twin.start)
    assert ours.keys() == theirs.keys()
    assert max(apart(theirs, ours).values()) < 1e-10
    assert all(array.dtype == theirs[key].dtype for key, array in ours.items())


def test_a_scan_of_the_steps_is_the_steps(twin):
    exact, scanned = flax_run(twin).free(), flax_run(twin, "float32").free()
    gaps = apart({key: array.astype(np.float64) for key, array in exact.items()}, scanned)
    assert 1e-12 < max(gaps.values()) < 1e-4
    assert {key.partition("/")[0] for key in exact} == {"1", "2"}


def test_control_another_start_gives_other_arrays(twin):
    start = twin.start
    moved = {key: array + 1 if key == "out.bias" else array for key, array in start.tensors.items()}
    right = flax_run(twin).taken(1, start, set())["forward/output"]
    other = flax_run(twin).taken(1, type(start)(moved), set())["forward/output"]
    np.testing.assert_allclose(other, right + 1, rtol=1e-5)
