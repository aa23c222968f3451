"""Tensors of a checkpoint: of other kinds and precisions, computed from others, tied, or without a count."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_pair import WEIGHTS, FlaxNet, TorchNet, flax_net, loads, saved, torch_net
from flax import nnx
from safetensors.torch import save_file, save_model
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

import parity
from d2l_jax import InputError
from d2l_jax.nn import BatchNorm

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # of the old weight_norm
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of TorchScript
]
KINDS = {
    "float8": (lambda x: x.to(torch.float8_e4m3fn), r"conv.weight \(and 1 more\) is float8_e4m3fn, numbers that need"),
    "quantized": (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8), "is quantized .qint8.; save it as"),
    "int8": (lambda x: x.to(torch.int8), "holds int8, quantized numbers whose scale stands elsewhere"),
    "sparse": (lambda x: x.to_sparse(), r"is sparse .sparse_coo.; save it as tensor.to_dense\(\)"),
    "meta": (lambda x: x.to("meta"), "is on the meta device: it has a shape and no values"),
    "complex": (lambda x: x.to(torch.complex64), "holds complex numbers .complex64. where float32 is right"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("through_a_file", [True, False])
@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # of torch.save, about kinds of storages
def test_tensors_without_plain_numbers_are_one_true_line(tmp_path: Path, kind: str, through_a_file: bool):
    change, reason = KINDS[kind]
    weights = {key: change(value.contiguous()) if "conv" in key else value for key, value in WEIGHTS.items()}
    with pytest.raises(InputError, match=reason) as error:
        loads(saved(tmp_path, weights) if through_a_file else weights)
    assert str(error.value).count(";") < 2 and "\n" not in str(error.value) and "\x1b" not in str(error.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_other_precisions_load(tmp_path: Path, dtype: torch.dtype, suffix: str):
    halves = {key: value.to(dtype) if value.is_floating_point() else value for key, value in WEIGHTS.items()}
    if suffix == ".pt":
        saved(tmp_path, halves)
    else:
        save_file({key: value.contiguous() for key, value in halves.items()}, tmp_path / "m.safetensors")
    assert loads(tmp_path / f"m{suffix}", {key: value.float() for key, value in halves.items()})


def test_float8_of_safetensors_is_one_line(tmp_path: Path):
    save_file(
        {key: value.to(torch.float8_e5m2).contiguous() for key, value in WEIGHTS.items()}, tmp_path / "m.safetensors"
    )
    with pytest.raises(InputError, match=r"\(and 12 more\) is F8_E5M2, numbers that need a scale") as error:
        loads(tmp_path / "m.safetensors")
    assert len(str(error.value)) < 400


def test_batch_normalisation_without_its_count(caplog: pytest.LogCaptureFixture):
    theirs = {f"bn.{key}": torch.rand(4) for key in ("weight", "bias", "running_mean", "running_var")}
    loaded = parity.state_dict(parity.load_state_dict(nnx.Dict(bn=BatchNorm(4)), theirs))
    np.testing.assert_array_equal(loaded["bn.running_var"], theirs["bn.running_var"].numpy())
    assert loaded["bn.num_batches_tracked"] == 0 and "num_batches_tracked is not there" in caplog.text
    del theirs["bn.running_mean"]
    with pytest.raises(InputError, match=r"missing bn.running_mean \(4,\); missing bn.num_batches_tracked"):
        parity.load_state_dict(nnx.Dict(bn=BatchNorm(4)), theirs)


FOLDED = {
    "weight_norm": lambda layer: parametrizations.weight_norm(layer),
    "weight_norm of all": lambda layer: parametrizations.weight_norm(layer, dim=None),
    "weight_norm of inputs": lambda layer: parametrizations.weight_norm(layer, dim=1),
    "old weight_norm": lambda layer: weight_norm(layer),
    "spectral_norm": lambda layer: parametrizations.spectral_norm(layer),
    "old spectral_norm": lambda layer: spectral_norm(layer),
    "pruning": lambda layer: prune.l1_unstructured(layer, "weight", 0.3),
}


@pytest.mark.parametrize("name", FOLDED)
@pytest.mark.parametrize("through_a_file", [True, False])
def test_weights_that_are_computed_are_folded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, through_a_file: bool
):
    net = torch_net()
    layers = {key: net.get_submodule(key) for key in ("conv", "up", "fc")}
    for layer in layers.values():
        FOLDED[name](layer)
    with torch.no_grad():
        net(torch.rand(2, 2, 7, 5))
    model = parity.load_state_dict(flax_net(), saved(tmp_path, net.state_dict()) if through_a_file else net)
    loaded = parity.state_dict(model)
    for key, layer in layers.items():
        np.testing.assert_allclose(loaded[f"{key}.weight"], layer.weight.detach().numpy(), rtol=2e-5, atol=1e-6)
    assert f"{name.removeprefix('old ').split(' of')[0]} folded into its weights" in caplog.text


def test_a_square_transposed_convolution_has_its_own_norm():
    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = parametrizations.spectral_norm(torch.nn.ConvTranspose2d(3, 3, 2))

    theirs = Theirs()
    for _ in range(3):
        theirs.up(torch.rand(1, 3, 4, 4))
    theirs.eval()
    ours = nnx.Dict(up=nnx.ConvTranspose(3, 3, (2, 2), rngs=nnx.Rngs(0)))
    loaded = parity.state_dict(parity.load_state_dict(ours, theirs))
    np.testing.assert_allclose(loaded["up.weight"], theirs.up.weight.detach().numpy(), rtol=1e-5)


def test_another_parametrization_is_named_or_computed_by_its_module():
    net = torch_net()
    parametrizations.orthogonal(net.fc)
    with pytest.raises(InputError, match=r"missing fc.weight .*computed from fc.parametrizations.*remove_parametrizat"):
        loads(net.state_dict())
    assert loads(net, {**WEIGHTS, "fc.weight": net.fc.weight.detach()})
    assert loads(torch.nn.DataParallel(net), {**WEIGHTS, "fc.weight": net.fc.weight.detach()})


class Tied(nnx.Module):
    """A language model whose output layer is its embedding."""

    def __init__(self, rngs: nnx.Rngs):
        self.embed = nnx.Embed(5, 4, rngs=rngs)


class Untied(Tied):
    """A language model with an output layer of its own."""

    def __init__(self, rngs: nnx.Rngs):
        super().__init__(rngs)
        self.head = nnx.Linear(4, 5, use_bias=False, rngs=rngs)


class TorchTied(torch.nn.Module):
    """The tied model in PyTorch."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(5, 4)
        self.head = torch.nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_tied_keys_load_where_they_are_tied(tmp_path: Path, suffix: str):
    theirs = TorchTied()
    path = tmp_path / f"m{suffix}"
    torch.save(theirs.state_dict(), path) if suffix == ".pt" else save_model(theirs, str(path))
    model = parity.load_state_dict(Tied(nnx.Rngs(0)), path)
    np.testing.assert_array_equal(model.embed.embedding[...], theirs.embed.weight.detach().numpy())
    if suffix == ".pt":
        untied = parity.load_state_dict(Untied(nnx.Rngs(0)), path)
        np.testing.assert_array_equal(untied.head.kernel[...].T, theirs.embed.weight.detach().numpy())
    else:
        with pytest.raises(InputError, match=r"missing head.weight \(5, 4\) \(tied to embed.weight\)"):
            parity.load_state_dict(Untied(nnx.Rngs(0)), path)


def test_a_tied_key_may_stand_under_the_name_that_the_model_lacks(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    weight = torch.rand(5, 4)
    save_file({"head.weight": weight}, tmp_path / "m.safetensors", metadata={"embed.weight": "head.weight"})
    model = parity.load_state_dict(Tied(nnx.Rngs(0)), tmp_path / "m.safetensors")
    np.testing.assert_array_equal(model.embed.embedding[...], weight.numpy())
    assert "embed.weight is head.weight, to which the file ties it" in caplog.text
    with pytest.raises(InputError, match="missing embed.weight .* .tied to head.weight"):  # control: it needs both
        parity.load_state_dict(Untied(nnx.Rngs(0)), tmp_path / "m.safetensors")


def test_tensors_whose_numbers_stand_elsewhere_are_told():
    with pytest.raises(InputError, match=r"conv.weight \(and 12 more\) is empty: .*ZeRO-3, FSDP.*gather") as error:
        loads({key: torch.empty(0) for key in WEIGHTS})
    assert "has shape" not in str(error.value)


def test_a_tied_key_that_no_note_tells_of_is_guessed():
    with pytest.raises(
        InputError, match=r"missing head.weight \(5, 4\) \(was it left out as tied\? embed.weight has its"
    ):
        parity.load_state_dict(Untied(nnx.Rngs(0)), {"embed.weight": torch.rand(5, 4)})


def test_control_a_head_of_its_own_is_not_left_out():
    weights = TorchTied().state_dict()
    weights["head.weight"] = weights["head.weight"] + 1
    with pytest.raises(InputError, match="unexpected head.weight"):
        parity.load_state_dict(Tied(nnx.Rngs(0)), weights)
    zeros = {key: torch.zeros(5, 4) for key in weights}
    with pytest.raises(InputError, match="unexpected head.weight"):  # zeros are alike by chance
        parity.load_state_dict(Tied(nnx.Rngs(0)), zeros)


def test_one_of_two_tied_keys_is_enough():
    layer = nnx.Linear(3, 3, rngs=nnx.Rngs(0))
    weights = {"b.weight": np.eye(3, dtype=np.float32) * 2, "b.bias": np.ones(3, np.float32)}
    loaded = parity.state_dict(parity.load_state_dict(nnx.Dict(a=layer, b=layer), weights))
    assert all(np.array_equal(loaded[f"{name}.weight"], weights["b.weight"]) for name in "ab")


@pytest.mark.parametrize(
    "source, reason",
    [
        (None, "not from NoneType"),
        ([1], "not from list"),
        (TorchNet, "TorchNet is a class; load a state_dict, an instance or a path"),
        ({}, "holds no state_dict"),
        ({"epoch": 3}, "holds no state_dict .*: epoch is of type int"),
        ({"conv.weight": [[1.0]]}, "holds no state_dict .*: conv.weight is of type list"),
    ],
)
def test_what_holds_no_weights_is_one_clear_line(source: Any, reason: str):
    with pytest.raises(InputError, match=reason):
        parity.load_state_dict(flax_net(), source)


def test_weights_go_into_an_nnx_module():
    with pytest.raises(InputError, match="weights go into an nnx.Module, not into OrderedDict"):
        parity.load_state_dict(WEIGHTS, flax_net())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="FlaxNet is a class; weights go into a model that was made of it"):
        parity.load_state_dict(FlaxNet, WEIGHTS)  # type: ignore[arg-type]
