"""Checkpoints that hold other things than a model's weights say what they are in one line."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_pair import NET, loads, prefixed
from flax import nnx

import parity
from d2l_jax import InputError


def test_a_file_of_flaxs_is_known(tmp_path: Path):
    (tmp_path / "flax_model.msgpack").write_bytes(b"\x81\xa6params\x80")
    with pytest.raises(InputError, match="is a file of Flax's"):
        loads(tmp_path / "flax_model.msgpack")


def _low_rank(beside: bool) -> dict[str, Any]:
    base = prefixed("base_model.model.") if beside else {}
    return base | {f"base_model.model.net.0.lora_{part}.default.weight": torch.ones(2, 2) for part in "AB"}


def _optimizer() -> dict[str, Any]:
    optimizer = torch.optim.Adam(NET.parameters())
    for parameter in NET.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    return optimizer.state_dict()


OTHER_NAMES = [
    (_optimizer, r"holds an optimiser's state \(state.0.step\) and no weights"),
    (
        lambda: {"state": {"fc.weight": {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
        "an optimiser's state",
    ),
    (lambda: {"optim": _optimizer(), "epoch": 3}, "holds no state_dict .*: optim is an optimiser's state"),
    (partial(_low_rank, False), "holds LoRA's differences .* without the model that they belong to"),
    (partial(_low_rank, True), "holds LoRA's differences .* beside the weights that they change"),
    (lambda: {"lora_unet_0.lora_down.weight": np.ones((2, 3)), "lora_unet_0.alpha": np.ones(())}, "LoRA's .* without"),
    (lambda: {"net.0.ia3_l": np.ones((2, 1))}, "holds IA3's factors .net.0.ia3_l. without the model"),
    (lambda: {"_fsdp_wrapped_module._flat_param": np.ones(9)}, "holds FSDP's flat parameters .*FULL_STATE_DICT"),
    (lambda: {"net.0.qweight": np.ones((1, 3), np.int32), "net.0.scales": np.ones((1, 3))}, "holds quantized numbers"),
    (
        lambda: {"fc.weight": np.ones((9, 1), np.uint8), "fc.weight.absmax": np.ones(1)},
        "quantized .*save the model as it",
    ),
    (lambda: {"fc.scale": torch.ones(1), "fc._packed_params": (torch.ones(2), None)}, "quantized .*fc._packed_params"),
    (lambda: {"net/0/kernel": np.ones((3, 2)), "net/0/bias": np.ones(2)}, "holds Flax's names .net/0/kernel., not Py"),
    (lambda: {"shadow": [torch.ones(2), torch.ones(3)]}, "shadow is a list of 2 tensors without names"),
]


@pytest.mark.parametrize("content, reason", OTHER_NAMES)
def test_tensors_that_are_no_weights_are_one_line(content: Callable, reason: str):
    with pytest.raises(InputError, match=reason) as raised:
        loads(content())
    assert "missing" not in str(raised.value)


def test_control_another_layer_is_listed_and_a_transposed_one_is_told():
    with pytest.raises(InputError, match="missing|has shape") as raised:
        loads({"weight": torch.ones(3, 2), "bias": torch.ones(3)})
    assert "holds" not in str(raised.value)
    layer = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    with pytest.raises(InputError, match=r"shape \(3, 2\) where \(2, 3\) is right \(transposed"):
        parity.load_state_dict(layer, {"weight": torch.ones(3, 2), "bias": torch.ones(2)})
