"""Checkpoints as people have them: what wraps the weights is taken off and told, and nothing of a file is run."""

import argparse
import collections
import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from checkpoint_pair import NET, OTHERS, WEIGHTS, flax_net, loads, prefixed, saved, torch_net
from flax import nnx
from torch.optim.swa_utils import AveragedModel

import parity
from d2l_jax import InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # of the old weight_norm
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of TorchScript
]


@pytest.mark.slow
def test_a_loaded_model_computes_the_same():
    x = np.random.default_rng(0).normal(size=(3, 7, 5, 2)).astype(np.float32)
    ours = parity.load_state_dict(flax_net(), NET)(jnp.asarray(x))
    theirs = NET(torch.tensor(x).permute(0, 3, 1, 2))
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=2e-4, atol=1e-5)


def test_training_the_source_moves_nothing_in_the_model():
    theirs = torch.nn.ModuleDict({"fc": torch.nn.Linear(64, 4096)})
    before = {key: value.clone() for key, value in theirs.state_dict().items()}
    model = parity.load_state_dict(nnx.Dict(fc=nnx.Linear(64, 4096, rngs=nnx.Rngs(0))), theirs)
    with torch.no_grad():
        theirs["fc"].bias.add_(1)
    np.testing.assert_array_equal(model["fc"].bias[...], before["fc.bias"].numpy())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "net.model."])
def test_a_common_prefix_is_taken_off_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, prefix: str):
    assert loads(saved(tmp_path, prefixed(prefix)))
    (record,) = caplog.records
    assert "taken off its names" in record.getMessage() and prefix.split(".")[0] in record.getMessage()
    assert loads(WEIGHTS) and len(caplog.records) == 1  # control: nothing is told of plain weights


def test_a_compiled_layer_inside_is_no_obstacle():
    assert loads({key.replace("conv.", "conv._orig_mod."): value for key, value in WEIGHTS.items()})


def test_data_parallel_around_a_part_is_no_obstacle(caplog: pytest.LogCaptureFixture):
    inner = {f"net.module.{key}": value for key, value in WEIGHTS.items()}
    outer = nnx.Dict(net=flax_net(), fc=nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    beside = {"fc.weight": torch.rand(2, 2), "fc.bias": torch.rand(2)}
    parity.load_state_dict(outer, {"state_dict": {f"module.{key}": value for key, value in (inner | beside).items()}})
    np.testing.assert_array_equal(outer["net"].fc.bias[...], WEIGHTS["fc.bias"].numpy())
    assert "'module' taken off its names" in caplog.text
    spoilt = {key.replace("module.", "") if "rms" in key else key: value for key, value in inner.items()}
    with pytest.raises(InputError, match="missing net.conv.weight .*unexpected net.module.conv"):  # control: no wrapper
        parity.load_state_dict(outer, spoilt | beside)


def test_names_may_lack_the_prefix_of_the_model(caplog: pytest.LogCaptureFixture):
    outer = nnx.Dict(net=flax_net())
    parity.load_state_dict(outer, WEIGHTS)
    np.testing.assert_array_equal(outer["net"].fc.bias[...], WEIGHTS["fc.bias"].numpy())
    assert "'net.' put before its names" in caplog.text


def test_control_a_prefix_of_some_names_alone_is_no_prefix():
    with pytest.raises(InputError, match=r"missing conv.weight .*unexpected module.conv.weight"):
        loads({("module." if key.startswith("conv") else "") + key: value for key, value in WEIGHTS.items()})


class Trainer:
    """An object that holds the weights, and itself."""

    def __init__(self, weights: Any):
        self.weights = weights
        self.callbacks = [self]


WRAPPINGS = {
    "epoch": {"model_state_dict": WEIGHTS, "optimizer_state_dict": {"state": {0: {"exp_avg": torch.ones(3)}}}, "n": 3},
    "lightning": {"state_dict": prefixed("net."), "hyper_parameters": argparse.Namespace(lr=0.1), "callbacks": {}},
    "lightning with a loss": {"state_dict": prefixed("net.") | {"loss.weight": torch.ones(3)}},
    "averaged": AveragedModel(NET).state_dict(),
    "numpy's numbers": {"model": WEIGHTS, "best": np.float64(0.5), "rng": np.random.default_rng(0).normal(size=3)},
    "other classes": {"model": WEIGHTS, "a": collections.defaultdict(list, x=[1]), "b": SimpleNamespace(), "c": {1j}},
    "twice": {"model": WEIGHTS, "state_dict": WEIGHTS},
    "a pair": (WEIGHTS, {"state": {}}),
    "a trainer's attributes": Trainer(WEIGHTS),
}


MODULES = {"alone": NET, "among others": {"model": torch.nn.DataParallel(NET), "epoch": 1}}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_saved_whole_is_opened_without_its_class(tmp_path: Path, name: str):
    assert loads(saved(tmp_path, MODULES[name]))
    path = saved(tmp_path, MODULES[name], _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"it needs .*TorchNet.* to be opened; save it again with torch.save"):
        loads(path)


@pytest.mark.parametrize("name", WRAPPINGS)
@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_what_wraps_the_weights_is_opened(tmp_path: Path, name: str, new: bool):
    assert loads(saved(tmp_path, WRAPPINGS[name], _use_new_zipfile_serialization=new))


def test_several_that_fit_are_named(tmp_path: Path):
    path = saved(tmp_path, {"model": WEIGHTS, "model_ema": OTHERS, "epoch": 1})
    with pytest.raises(InputError, match="m.pt holds 2 that fit: model, model_ema; say which, entry='model'"):
        loads(path)
    assert loads(path, entry="model") and loads(path, OTHERS, entry="model_ema")
    with pytest.raises(InputError, match="has no entry 'modle'; it has model, model_ema, epoch"):
        loads(path, entry="modle")


def test_copies_with_the_same_numbers_are_one():
    assert loads({"model": WEIGHTS, "average": {key: value.clone() for key, value in WEIGHTS.items()}})


def test_the_nearest_entry_is_that_whose_shapes_agree_too():
    renamed = {key.replace("conv.", "stem."): value for key, value in WEIGHTS.items()}
    other = {"block.conv.weight": torch.ones(9, 9), "block.conv.bias": torch.ones(9), "block.fc.bias": torch.ones(3)}
    with pytest.raises(InputError, match="missing conv.weight .*; unexpected stem.weight"):
        loads(renamed | other)


def test_averages_in_a_module_are_named():
    both = torch.nn.ModuleDict({"online": torch_net(), "average": torch_net(2)})
    with pytest.raises(InputError, match="the ModuleDict holds 2 that fit: online, average"):
        loads(both)
    assert loads(both, OTHERS, entry="average")


def test_a_mapping_that_holds_itself_is_one_clear_line():
    wrapped: dict = {"model": {"epoch": 1}}
    wrapped["model"]["whole"] = wrapped
    with pytest.raises(InputError, match="holds a mapping that holds itself"):
        loads(wrapped)


def test_a_name_that_is_there_twice_is_no_wrapping():
    with pytest.raises(InputError, match="unexpected _orig_mod.fc.bias"):
        loads(WEIGHTS | {"_orig_mod.fc.bias": OTHERS["fc.bias"]})


def test_a_part_of_a_larger_model_is_loaded_on_demand_alone():
    larger = prefixed("decoder.") | {f"encoder.{i}.weight": torch.ones(2) for i in range(20)}
    with pytest.raises(InputError, match="holds a larger model, of which a part fits; say entry='decoder'"):
        loads(larger)
    assert loads(larger, entry="decoder")
    layers = {
        f"{i}.{key}": torch.rand(2, i) if key == "weight" else torch.rand(2)
        for i in (3, 4)
        for key in ("weight", "bias")
    }
    with pytest.raises(InputError, match="holds a larger model, of which a part fits; say entry='4'"):
        parity.load_state_dict(nnx.Linear(4, 2, rngs=nnx.Rngs(0)), layers)


@pytest.mark.parametrize("wrap", [lambda net: net, torch.nn.DataParallel, AveragedModel, torch.compile])
def test_a_module_is_as_good_as_a_file(wrap: Any):
    assert loads(wrap(NET))


def test_a_compiled_module_saved_whole_loads(tmp_path: Path):
    assert loads(saved(tmp_path, torch.compile(NET)))


@pytest.mark.filterwarnings("ignore")  # of the tracer
def test_torchscript_loads(tmp_path: Path):
    torch.jit.save(torch.jit.trace(NET, torch.zeros(1, 2, 7, 5)), tmp_path / "script.pt")
    assert loads(tmp_path / "script.pt")


class Program:
    """An object that would run a command where it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {MARK}",)


MARK = Path("mark-of-a-program")


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_a_program_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: bool):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, {**WEIGHTS, "more": Program()}, _use_new_zipfile_serialization=new)
    with pytest.raises(InputError, match="holds more than weights: it names posix.system, which runs programs"):
        loads(path)
    assert not MARK.exists()
    torch.load(path, weights_only=False)  # control
    assert MARK.exists()


class Marker:
    """A class of the user's that would leave a mark where it is unpickled."""

    def __setstate__(self, state: Any) -> None:
        MARK.touch()

    def __getstate__(self) -> dict:
        return {"a": 1}


def test_a_class_of_the_users_is_not_run_and_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, {"model": WEIGHTS, "trainer": Marker()})
    assert loads(path) and not MARK.exists()
    torch.load(path, weights_only=False)  # control
    assert MARK.exists()


@pytest.mark.parametrize(
    "write, reason",
    [
        (lambda path: pickle.dump(WEIGHTS, path.open("wb")), "it is a plain pickle"),
        (lambda path: torch.save(WEIGHTS, path, pickle_protocol=4), "was saved with pickle's protocol 4 or later"),
    ],
)
def test_other_pickles_say_how_to_go_on(tmp_path: Path, write: Any, reason: str):
    write(tmp_path / "m.pt")
    with pytest.raises(InputError, match=rf"{reason}.*save it again with torch.save\(model.state_dict\(\), path\)"):
        loads(tmp_path / "m.pt")
