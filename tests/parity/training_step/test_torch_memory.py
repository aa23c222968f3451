"""Everything that a step of PyTorch's reaches and may change is put back."""

from types import SimpleNamespace

import pytest
import torch

from parity.training_step.torch_memory import Memory


@pytest.mark.parametrize("held", [{1}, [1], {"a": 1}, SimpleNamespace(a=1), SimpleNamespace(a={1, 2})])
def test_what_a_step_closes_over_is_put_back(held):
    weight = torch.ones(2)

    def step():
        weight.mul_(2)
        return held

    before = repr(held)
    memory = Memory([step])
    snapshot = memory.taken()
    step()
    {set: set.clear, list: list.clear, dict: dict.clear, SimpleNamespace: lambda x: vars(x).update(a=3)}[type(held)](
        held
    )
    assert repr(held) != before
    memory.put(snapshot)
    assert repr(held) == before and weight.tolist() == [1, 1]
