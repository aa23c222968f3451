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
    slots = {i: {"step": torch.ones(()), "exp_avg": parameter.detach()} for i, parameter in enumerate(NET.parameters())}
    optimizer = {"state": slots, "param_groups": [{"lr": 0.1, "params": list(slots)}]}
    parts = {name: layer.state_dict() for name, layer in NET.named_children()}
    assert loads(saved(tmp_path, {**parts, "optimizer": optimizer, "epoch": 3}))
    with pytest.raises(InputError, match="unexpected other.weight"):  # control: another part is left over
        loads({**parts, "optimizer": optimizer, "other": {"weight": torch.ones(2)}})


@pytest.mark.parametrize("wrap", [dict, lambda weights: {"state_dict": prefixed("module.", weights=weights)}])
def test_the_weights_of_a_part_alone_say_which(wrap: Any):
    outer = nnx.Dict(encoder=flax_net(), fc=nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    with pytest.raises(
        InputError,
        match="does not fit Dict: it holds the weights of 'encoder' alone, a part of the model",
    ):
        parity.load_state_dict(outer, wrap(WEIGHTS))
    with pytest.raises(InputError, match="holds the weights of 'encoder' alone"):
        parity.load_state_dict(outer, wrap(prefixed("encoder.")))
    with pytest.raises(InputError, match="missing encoder.conv"):  # control: the file names another part
        parity.load_state_dict(outer, prefixed("fc."))
    two = nnx.Dict(encoder=flax_net(), decoder=flax_net())
    for model in (two, nnx.Dict(encoder=nnx.Linear(2, 2, rngs=nnx.Rngs(0)), fc=nnx.Linear(2, 2, rngs=nnx.Rngs(0)))):
        with pytest.raises(InputError, match="missing encoder"):  # control: two parts fit, or none
            parity.load_state_dict(model, wrap(WEIGHTS))


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (nnx.InstanceNorm(4, rngs=nnx.Rngs(0)), torch.nn.InstanceNorm2d(4, affine=True)),
        (nnx.PReLU(), torch.nn.PReLU(init=0.3)),
    ],
)
def test_layers_of_flaxs_with_names_of_their_own_load(ours: nnx.Module, theirs: torch.nn.Module):
    weights = {key: torch.rand(tensor.shape) for key, tensor in theirs.state_dict().items()}
    back = parity.state_dict(parity.load_state_dict(ours, weights))
    assert all(np.array_equal(back[key], tensor.numpy()) for key, tensor in weights.items())
    with pytest.raises(
        InputError, match=r"weight .*has shape"
    ):  # control: a slope, or a scale, for each of many channels
        parity.load_state_dict(ours, {key: torch.rand(7) for key in weights})


def test_rows_of_a_joint_tensor_are_told():
    attention = nnx.Dict(mix=nnx.MultiHeadAttention(2, 4, rngs=nnx.Rngs(0)))
    weights = {f"mix.{key}": tensor for key, tensor in torch.nn.MultiheadAttention(4, 2).state_dict().items()}
    with pytest.raises(
        InputError, match=r"missing mix.query.kernel .*\(rows of mix.in_proj_weight: query, key, value in"
    ):
        parity.load_state_dict(attention, weights)
    cell = nnx.Dict(rnn=nnx.RNN(nnx.LSTMCell(2, 3, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0)))
    weights = {f"rnn.{key}": tensor for key, tensor in torch.nn.LSTM(2, 3).state_dict().items()}
    with pytest.raises(InputError, match=r"missing rnn.cell.if_.weight .*\(rows of rnn.weight_ih_l0: gates i, f, g, o"):
        parity.load_state_dict(cell, weights)
    with pytest.raises(InputError, match="missing mix.query.kernel") as error:  # control: nothing joint is there
        parity.load_state_dict(attention, {"mix.out_proj.weight": torch.ones(4, 4), "mix.out_proj.bias": torch.ones(4)})
    assert "rows of" not in str(error.value)


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


def test_a_checkpoint_of_other_names_is_told_of_maps_and_one_that_lacks_a_name_is_not():
    model = nnx.Dict(first=nnx.Linear(2, 3, rngs=nnx.Rngs(0)), last=nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2)).state_dict()
    with pytest.raises(
        InputError, match="^the state_dict does not fit Dict: missing .*; where names are others, "
    ) as at:
        parity.load_state_dict(model, theirs)
    assert "parity.load_by_map(model, checkpoint, result.weights)" in str(at.value)
    names = {"0": "first", "1": "last"}
    named = {f"{names[key[0]]}{key[1:]}": tensor for key, tensor in theirs.items() if key != "1.bias"}
    with pytest.raises(InputError, match=r"^the state_dict does not fit Dict: missing last.bias \(2,\)$"):
        parity.load_state_dict(model, named)
