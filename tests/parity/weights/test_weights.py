"""The weight map: an exact bijection, or one error that lists everything."""

import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torchvision
from flax import nnx
from sampled import sampled

import parity
from d2l_jax import InputError, models
from d2l_jax.catalog import CASES, get
from d2l_jax.weights.rules import leaves
from parity import reference
from parity.cli import main
from parity.twin.random_weights import random_weights
from parity.twin.structure import with_shapes
from parity.twin.torch_side import torch_model

SMALL = [case for case in CASES if case.name not in ("alexnet", "vgg11", "vgg")]


def lenet():
    return models.LeNet(rngs=nnx.Rngs(0))


def weights_of(model, seed=0):
    return random_weights(leaves(model), None, np.random.default_rng(seed))


def same_bits(left, right):
    assert left.keys() == right.keys()
    for key in left:
        assert left[key].dtype == right[key].dtype, key
        assert left[key].tobytes() == right[key].tobytes(), key


@pytest.mark.parametrize("case", sampled(SMALL), ids=lambda case: case.name)
def test_the_round_trip_is_bit_exact(case):
    model = with_shapes(lambda: case.build(probe=True))
    weights = weights_of(model)
    twin = torch_model(case, probe=True)
    twin.load_state_dict({key: torch.tensor(array) for key, array in weights.items()})
    parity.load_state_dict(model, twin.state_dict())
    same_bits(weights, parity.state_dict(model))


def test_control_the_layout_matters():
    model = get("tied-mlp").build()
    weights = parity.state_dict(model)
    square = weights | {key: weights[key].T for key in ("2.weight", "4.weight")}
    x = jnp.ones((2, 4))
    assert not np.allclose(model(x), parity.load_state_dict(model, square)(x))


def test_torchvisions_mobilenet_loads():
    theirs = torchvision.models.mobilenet_v2(num_classes=10)
    model = with_shapes(lambda: models.MobileNetV2(num_classes=10, rngs=nnx.Rngs(0)))
    parity.load_state_dict(model, theirs.state_dict())
    same_bits({key: value.numpy() for key, value in theirs.state_dict().items()}, parity.state_dict(model))


def test_every_mismatch_is_listed_and_nothing_changes():
    model = lenet()
    other = weights_of(lenet())
    before = parity.state_dict(model)
    del other["net.0.bias"]
    other["net.3.weight"] = other["net.3.weight"][:, :3]
    other["net.7.bias"] = np.full(120, np.nan, np.float32)
    other["extra"] = np.zeros(2)
    with pytest.raises(InputError) as error:
        parity.load_state_dict(model, other)
    for part in (
        "missing net.0.bias (6,)",
        "unexpected extra (2,)",
        "net.3.weight has shape (16, 3, 5, 5) where (16, 6, 5, 5) is right",
        "net.7.bias has values that are not finite",
    ):
        assert part in str(error.value)
    same_bits(before, parity.state_dict(model))


def test_a_shared_tensor_has_one_value():
    model = get("tied-mlp").build()
    weights = parity.state_dict(model)
    weights["4.bias"] = weights["4.bias"] + 1
    with pytest.raises(InputError, match=r"2.bias and 4.bias are one tensor in the model, but differ"):
        parity.load_state_dict(model, weights)


def test_the_dtype_may_change():
    model = parity.load_state_dict(lenet(), weights_of(lenet()), dtype="float64")
    assert {array.dtype for array in parity.state_dict(model).values()} == {np.dtype("float64")}


def test_bfloat16_tensors_load():
    halves = {key: torch.tensor(array).bfloat16() for key, array in weights_of(lenet()).items()}
    loaded = parity.state_dict(parity.load_state_dict(lenet(), halves))
    for key, tensor in halves.items():
        np.testing.assert_array_equal(loaded[key], tensor.float().numpy())


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_files_are_written_and_read(tmp_path, suffix):
    from parity.weights.files import write_state_dict

    weights = weights_of(get("bn-lenet").build())
    path = tmp_path / f"w{suffix}"
    write_state_dict(weights, path)
    same_bits(weights, parity.state_dict(parity.load_state_dict(get("bn-lenet").build(), path)))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_truncated_file_is_one_clear_line(tmp_path, suffix):
    from parity.weights.files import write_state_dict

    path = tmp_path / f"w{suffix}"
    write_state_dict(weights_of(lenet()), path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=f"w{suffix} is corrupt or holds more than weights"):
        parity.load_state_dict(lenet(), path)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    torch.save({"net.0.weight": torch.zeros(1), "code": subprocess.Popen}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match="holds more than weights: it names subprocess.Popen, which runs programs"):
        parity.load_state_dict(lenet(), tmp_path / "evil.pt")


@pytest.mark.parametrize("name, reason", [("none.pt", "no such file"), ("w.npz", "unknown kind of weight file")])
def test_wrong_paths(tmp_path, name, reason):
    (tmp_path / "w.npz").touch()
    with pytest.raises(InputError, match=reason):
        parity.load_state_dict(lenet(), tmp_path / name)


def run(*args):
    with pytest.raises(SystemExit) as exit:
        main([str(arg) for arg in args])
    return exit.value.code


def test_convert_both_ways(tmp_path):
    twin = reference.BNLeNet()
    torch.save(twin.state_dict(), tmp_path / "a.pt")
    assert run("convert", tmp_path / "a.pt", tmp_path / "flax", "--model", "bn-lenet") == 0
    assert run("convert", tmp_path / "flax", tmp_path / "b.safetensors", "--model", "bn-lenet") == 0
    loaded = parity.load_state_dict(get("bn-lenet").build(), tmp_path / "b.safetensors")
    same_bits({key: value.numpy() for key, value in twin.state_dict().items()}, parity.state_dict(loaded))


@pytest.mark.parametrize(
    "source, target, model, reason",
    [
        ("a.pt", "flax", "mlp", "does not fit MLP: missing net.1.weight"),
        ("a.pt", "a.bin.pt/x.pt", "lenet", "cannot write"),
        ("a.pt", "here", "lenet", "here exists already"),
        ("none.pt", "flax", "lenet", "no such file"),
        ("here", "b.pt", "lenet", "here"),
        ("a.pt", "flax", "lennet", "did you mean lenet"),
    ],
)
def test_convert_refuses(tmp_path, capsys, source, target, model, reason):
    torch.save(reference.LeNet().state_dict(), tmp_path / "a.pt")
    (tmp_path / "a.bin.pt").touch()
    (tmp_path / "here").mkdir()
    assert run("convert", tmp_path / source, tmp_path / target, "--model", model) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and reason in message and message.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin.pt", "a.pt", "here"]


def test_random_keys_are_no_weights():
    model = get("dropout-mlp").build()
    assert not any("rngs" in key for key in parity.state_dict(model))
    assert jax.tree.leaves(nnx.state(model, nnx.RngState))


OTHER = "is corrupt or holds more than weights"


@pytest.mark.parametrize(
    "content, told",
    [(b"hello", "is text, not weights: it begins 'hello'"), (b"\x80\x05h\x05.", OTHER), (b"", OTHER)],
    ids=["text", "pickle", "nothing"],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_garbage_is_one_clear_line(tmp_path, suffix, content, told):
    (tmp_path / f"w{suffix}").write_bytes(content)
    with pytest.raises(InputError, match=told):
        parity.load_state_dict(lenet(), tmp_path / f"w{suffix}")


def test_values_that_do_not_fit_are_refused():
    weights = weights_of(get("bn-lenet").build())
    weights["net.1.num_batches_tracked"] = np.asarray(2**40 + 3)
    weights["net.0.weight"] = np.full(weights["net.0.weight"].shape, 1e300)
    with pytest.raises(
        InputError, match=r"net.0.weight has values that float32 cannot hold.*tracked has values that int32"
    ):
        parity.load_state_dict(get("bn-lenet").build(), weights)
