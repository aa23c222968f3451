"""PyTorch's side alone: states go in and out, runs leave no trace, and noise is as small as it says."""

import numpy as np
import pytest
from keys import key
from small_twin import apart, small_twin, torch_run

from d2l_jax.catalog import get
from parity.sides.disturb import one_ulp
from parity.sides.torch_tensors import rounded
from parity.twin.pairing import twin_of


@pytest.fixture(scope="module")
def twin():
    return small_twin()


def test_a_state_goes_in_and_out(twin):
    run = torch_run(twin)
    run.taken(1, twin.start)
    after = rounded(run.state())
    assert {slot for slots in after.slots.values() for slot in slots} == {"momentum_buffer"}
    second = torch_run(twin)
    second.load(after)
    state = second.state()
    assert max(apart(after.tensors, state.tensors).values()) == 0
    assert max(apart(after.tensors, twin.start.tensors).values()) > 0
    assert after.slots.keys() == state.slots.keys()
    for name, slots in after.slots.items():
        np.testing.assert_array_equal(slots["momentum_buffer"], state.slots[name]["momentum_buffer"])


def test_a_run_leaves_no_trace_in_the_twin(twin):
    before = {key: tensor.clone() for key, tensor in twin.torch.model.state_dict().items()}
    torch_run(twin).taken(1, twin.start)
    assert all((tensor == before[key]).all() for key, tensor in twin.torch.model.state_dict().items())


def test_control_a_step_of_the_twins_model_itself_leaves_a_trace():
    twin = small_twin(steps=1)
    before = {key: tensor.clone() for key, tensor in twin.torch.model.state_dict().items()}
    run = torch_run(twin, "float32")
    run.model = twin.torch.model
    run.step(twin.batches[0], 1)
    assert any((tensor != before[key]).any() for key, tensor in twin.torch.model.state_dict().items())


def test_a_disturbed_step_is_a_little_off_and_seed_minus_one_not_at_all(twin):
    run = torch_run(twin)
    oracle = run.taken(1, twin.start)
    assert max(apart(oracle, run.taken(1, twin.start, one_ulp(-1))).values()) == 0
    assert 0 < max(apart(oracle, run.taken(1, twin.start, one_ulp(0))).values()) < 1e-9


def test_frozen_parameters_stand_among_the_buffers():
    twin = twin_of(get("frozen-features"), steps=1)
    record = torch_run(twin).taken(1, twin.start)
    np.testing.assert_array_equal(record[key("buffers/features.0.weight")], twin.start.tensors["features.0.weight"])
    assert key("update/fc.weight") in record and key("update/features.0.weight") not in record
