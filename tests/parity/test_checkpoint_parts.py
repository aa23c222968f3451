"""Checkpoints of parts, beside an optimiser's state, and with buffers that nobody has learned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_pair import NET, WEIGHTS, flax_net, loads, prefixed, saved
from flax import nnx

import parity
from d2l_jax import InputError


def test_parts_under_their_names_load_beside_an_optimisers_state(tmp_path: Path):
    optimizer = torch.optim.Adam(NET.parameters())
    for parameter in NET.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    parts = {name: layer.state_dict() for name, layer in NET.named_children()}
    assert loads(saved(tmp_path, {**parts, "optimizer": optimizer.state_dict(), "epoch": 3}))
    with pytest.raises(InputError, match="unexpected other.weight"):  # control: another part is left over
        loads({**parts, "optimizer": optimizer.state_dict(), "other": {"weight": torch.ones(2)}})


@pytest.mark.parametrize("wrap", [dict, lambda weights: {"state_dict": prefixed("module.", weights=weights)}])
def test_the_weights_of_a_part_alone_say_which(wrap: Any):
    outer = nnx.Dict(encoder=flax_net(), fc=nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    with pytest.raises(InputError, match="the dict holds the weights of 'encoder' alone, a part of Dict"):
        parity.load_state_dict(outer, wrap(WEIGHTS))
    two = nnx.Dict(encoder=flax_net(), decoder=flax_net())
    for model in (two, nnx.Dict(encoder=nnx.Linear(2, 2, rngs=nnx.Rngs(0)), fc=nnx.Linear(2, 2, rngs=nnx.Rngs(0)))):
        with pytest.raises(InputError, match="missing encoder"):  # control: two parts fit, or none
            parity.load_state_dict(model, wrap(WEIGHTS))


MASKS = (np.tri(6, dtype=bool)[None, None], np.triu(np.full((5, 5), -np.inf, np.float32), 1))


def test_buffers_that_nobody_has_learned_are_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    more = {"fc.bias_mask": torch.tensor(MASKS[0]), "mask": torch.tensor(MASKS[1]), "fc.fill": torch.tensor(-1e4)}
    assert loads(saved(tmp_path, {**WEIGHTS, "position_ids": torch.arange(12)[None], **more}))
    assert "position_ids counts positions and is left out" in caplog.text
    assert "fc.bias_mask (and 1 more) is a causal mask and left out; fc.fill is what masked scores" in caplog.text


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(12.0),  # numbers that may have been learned
        torch.arange(1, 13),  # positions that begin elsewhere
        torch.tensor([0, 2, 1]),  # an order
        torch.tensor(-1e4),  # with no mask beside it
        torch.eye(5),
        torch.tensor(MASKS[0]).float() * torch.rand(6, 6),
        torch.ones(5, 5),
        torch.arange(12, device="meta"),
    ],
)
def test_control_other_buffers_are_listed(tensor: torch.Tensor):
    with pytest.raises(InputError, match="unexpected more"):
        loads({**WEIGHTS, "more": tensor})
