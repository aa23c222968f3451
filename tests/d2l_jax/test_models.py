"""Chapters 3 to 11: every model against the facts of the specification, on both sides.

Models are built from shapes alone where nothing but shapes is asked: VGG-11 would need half a gigabyte.
"""

import inspect
import json
import math
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity.reference as reference
from d2l_jax import eval_view, functional, losses, models, nn, train_view
from d2l_jax.catalog import CASES, get
from d2l_jax.errors import InputError
from parity.reference import losses as torch_losses
from parity.reference.sizes import out_size as torch_out_size
from parity.weights.rules import leaves, variables

FACTS = Path(__file__).parent / "facts"
SPEC = json.loads((FACTS / "state_dicts.json").read_text())
GOLDEN = json.loads((FACTS / "golden.json").read_text())
BOOK = [case.name for case in CASES if case.title in SPEC]
ALL = [case.name for case in CASES]
CORRECTED = {"seq2seq-corrected": "seq2seq", "transformer-corrected": "transformer"}  # other masks, the same weights
PARAMETERS = {  # of the models that are not in the book
    "two-hidden-mlp-scratch": 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10,
    "two-hidden-mlp": 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10,
    "lenet5": 61_706,
    # as published for 1000 classes and 3 channels, less what 10 classes and 1 channel need
    "mobilenet": 4_231_976 - 990 * (1024 + 1) - 2 * 32 * 9,
    "mobilenet-v2": 3_504_872 - 990 * (1280 + 1) - 2 * 32 * 9,
}
OWN = [name for name in ALL if name not in BOOK]


@cache
def flax_shapes(name: str) -> nnx.Module:
    return nnx.eval_shape(get(name).build)


@cache
def torch_shapes(name: str) -> torch.nn.Module:
    case = get(name)
    with torch.device("meta"):
        return getattr(reference, case.model.__name__)(**case.args)


def flax_count(model: nnx.Module) -> int:
    trained = {leaf.path: leaf.shape for leaf in leaves(model) if leaf.trained}
    return sum(math.prod(shape) for shape in trained.values())


def torch_count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


CONSTANT = {"P"}  # the table of positions, which a formula gives
APART = {"Seq2SeqDecoder (shape check)", "Seq2SeqAttentionDecoder (shape check)"}  # see test_seq2seq.py


def test_the_book_is_complete_and_in_order():
    assert [get(name).title for name in BOOK] == [title for title in SPEC if title not in APART]
    assert len(set(ALL)) == len(ALL)


@pytest.mark.parametrize("name", BOOK)
def test_keys_shapes_and_counts(name):
    facts, ours, theirs = SPEC[get(name).title], flax_shapes(name), torch_shapes(name)
    expected = facts.get("state_dict", {}) | facts.get("unregistered_tensors", {})
    expected = {key: tuple(shape) for key, shape in expected.items() if key not in CONSTANT}
    flax_tensors = {leaf.key: leaf.shape for leaf in leaves(ours)}
    torch_tensors = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    assert flax_tensors == expected
    assert torch_tensors == expected
    count = facts.get("params_including_unregistered", facts["params"])
    assert flax_count(ours) == torch_count(theirs) == count


@pytest.mark.parametrize("name", OWN)
def test_keys_shapes_and_counts_outside_the_book(name):
    ours, theirs = flax_shapes(name), torch_shapes(name)
    torch_tensors = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    assert {leaf.key: leaf.shape for leaf in leaves(ours)} == torch_tensors
    assert flax_count(ours) == torch_count(theirs) == parameters(name)


def parameters(name: str) -> int:
    """The number of parameters that the tables hold for `name`; KeyError for a model that none of them knows."""
    facts = SPEC.get(get(CORRECTED.get(name, name)).title)
    return facts["params"] if facts else PARAMETERS[name]


def test_control_a_model_that_no_table_knows_has_no_count(monkeypatch):
    monkeypatch.delitem(PARAMETERS, "lenet5")
    with pytest.raises(KeyError, match="lenet5"):
        test_keys_shapes_and_counts_outside_the_book("lenet5")


@pytest.mark.parametrize("name", ALL)
def test_forward_in_both_views(name):
    case, model = get(name), flax_shapes(name)
    inputs = case.abstract_inputs()
    for view in (train_view, eval_view):
        apply, params, buffers = functional(view(model))
        outputs, after = jax.eval_shape(apply, params, buffers, *inputs)
        if case.title in SPEC:
            facts = SPEC[case.title]
            for array, shape in zip(case.arrays, several(facts["input"][0])):
                assert array.shape[1:] == channels_last(shape)[1:]
            if not isinstance(facts["output"], str):  # in words
                for output, shape in zip(jax.tree.leaves(outputs), several(facts["output"])):
                    assert output.shape[1:] == channels_last(shape)[1:]
        assert {output.dtype for output in jax.tree.leaves(outputs)} == {jnp.dtype("float32")}
        assert shapes(after) == shapes(buffers)


def several(shapes: list) -> list[list[int]]:
    return shapes if shapes and isinstance(shapes[0], list) else [shapes]


def channels_last(shape: list[int]) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else tuple(shape)


def shapes(tree: dict) -> dict:
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


EVEN = ("positional-encoding",)  # sines and cosines take turns
STRIDED = ("residual-1x1", "googlenet", "resnet18", "densenet", "regnetx32", "mobilenet", "mobilenet-v2")


@pytest.mark.parametrize("name", ALL)
def test_probe_has_different_sizes_and_fits(name):
    case = get(name)
    probes = case.probe_arrays
    assert all(len(set(array.shape)) == len(array.shape) for array in probes)
    even = [n for n in {n for array in probes for n in array.shape} if n % 2 == 0]
    # Strides pad unevenly, if they do, where the size is even: there one axis is even, else all are odd.
    assert len(even) == (name in STRIDED or name in EVEN)
    model = nnx.eval_shape(lambda: case.model(**case.args | case.probe, rngs=nnx.Rngs(0)))
    apply, params, buffers = functional(train_view(model))
    jax.eval_shape(apply, params, buffers, *(jax.ShapeDtypeStruct(array.shape, array.dtype) for array in probes))


@pytest.mark.parametrize("name", [name for name in dir(models) if not name.startswith("_")])
def test_twin_has_the_same_signature(name):
    ours = getattr(models, name)
    if not inspect.ismodule(ours):
        assert signature(ours) == signature(getattr(reference, name))


def signature(callable_) -> dict:
    if inspect.isclass(callable_):
        callable_ = callable_.__init__
    parameters = inspect.signature(callable_).parameters
    return {name: p.default for name, p in parameters.items() if name not in ("rngs", "key")}


def test_every_case_is_exported_under_its_own_name():
    for case in CASES:
        assert getattr(models, case.model.__name__) is case.model


def test_unknown_name():
    with pytest.raises(InputError, match="did you mean resnet18"):
        get("ResNet-18")


# Initialisation: (case, key, bound of its uniform distribution); fans are written out.
def xavier(fan_in: int, fan_out: int) -> float:
    return math.sqrt(6 / (fan_in + fan_out))


UNIFORM = [
    ("weight-decay", "net.weight", 37**-0.5),
    ("mlp", "net.1.weight", 315**-0.5),
    ("mlp", "net.1.bias", 315**-0.5),
    ("lenet5", "net.7.weight", 192**-0.5),
    ("alexnet", "net.3.weight", 2400**-0.5),
    ("densenet", "net.dense_blk2.net.1.2.weight", (9 * 38) ** -0.5),
    ("regnetx32", "net.stage2.1.conv2.weight", 144**-0.5),
    ("regnetx32", "net.stage2.1.conv2.bias", 144**-0.5),
    ("lenet", "net.7.weight", xavier(240, 120)),
    ("lenet", "net.7.bias", 240**-0.5),
    ("vgg", "net.3.2.weight", xavier(1152, 1152)),
    ("nin", "net.2.2.weight", xavier(256, 256)),
    ("googlenet", "net.2.0.b2_2.weight", xavier(864, 1152)),
    ("bn-lenet-scratch", "net.9.weight", xavier(128, 120)),
    ("bn-lenet", "net.4.weight", xavier(150, 400)),
    ("resnet18", "net.b3.0.conv1.weight", xavier(576, 1152)),
    ("resnet18", "net.b3.0.conv1.bias", 576**-0.5),
]
NORMAL = [
    ("softmax-scratch", "W", 0.01),
    ("mlp-scratch", "W1", 0.01),
    ("two-hidden-mlp-scratch", "W2", 0.01),
    ("my-linear-x2", "0.weight", 1.0),
    ("mobilenet-v2", "features.3.conv.0.0.weight", math.sqrt(2 / 96)),
    ("mobilenet-v2", "features.3.conv.1.0.weight", math.sqrt(2 / (96 * 9))),
    ("mobilenet-v2", "classifier.1.weight", 0.01),
]


def started(name: str, key: str) -> list[np.ndarray]:
    """The tensor `key` as either side starts it; XLA drops all the others."""
    case = get(name)
    args = case.args | case.probe

    def draw(seed):
        model = case.model(**args, rngs=nnx.Rngs(seed))
        return variables(model)[next(leaf.path for leaf in leaves(model) if leaf.key == key)][...]

    torch.manual_seed(0)
    theirs = getattr(reference, case.model.__name__)(**args).state_dict()[key]
    return [np.asarray(jax.jit(draw)(jax.random.key(0))), theirs.numpy()]


@pytest.mark.parametrize(("name", "key", "bound"), UNIFORM)
def test_uniform_start(name, key, bound):
    for values in started(name, key):
        noise = 4 / math.sqrt(values.size)
        assert abs(values).max() <= bound * (1 + 1e-6)
        assert values.std() * math.sqrt(3) / bound == pytest.approx(1, abs=noise)
        assert values.mean() / bound == pytest.approx(0, abs=noise)


@pytest.mark.parametrize(("name", "key", "sigma"), NORMAL)
def test_normal_start(name, key, sigma):
    for values in started(name, key):
        noise = 4 / math.sqrt(values.size)
        assert values.std() / sigma == pytest.approx(1, abs=noise)
        assert values.mean() / sigma == pytest.approx(0, abs=noise)
        assert (abs(values) > 2 * sigma).mean() == pytest.approx(0.0455, abs=noise)


@pytest.mark.parametrize(("name", "key"), [("softmax-scratch", "b"), ("mlp-scratch", "b1")])
def test_scratch_biases_start_at_zero(name, key):
    for values in started(name, key):
        assert not values.any()


# Chapter 7
def image(*shape: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + math.prod(shape), dtype=np.float64).reshape(shape)


@pytest.mark.parametrize(("room", "array"), [(models, jnp.asarray), (reference, torch.tensor)])
def test_operators_of_chapter_7(room, array):
    X, K = array(image(3, 3)), array(image(2, 2))
    X2 = array(np.stack([image(3, 3), image(3, 3, start=1)]))
    K2 = np.stack([image(2, 2), image(2, 2, start=1)])
    K3 = array(np.stack([K2, K2 + 1, K2 + 2]))
    assert room.corr2d(X, K).tolist() == GOLDEN["corr2d 3x3 (0..8) * [[0,1],[2,3]]"]
    assert room.corr2d_multi_in(X2, array(K2)).tolist() == GOLDEN["corr2d_multi_in"]
    assert room.corr2d_multi_in_out(X2, K3).tolist() == GOLDEN["corr2d_multi_in_out (K,K+1,K+2)"]
    pooled = [room.pool2d(X, (2, 2), mode).tolist() for mode in ("max", "avg")]
    assert pooled == GOLDEN["pool2d 2x2 max / avg of 0..8"]


def test_max_pool_of_chapter_7():
    pools = nn.MaxPool2d(3), nn.MaxPool2d(3, padding=1, stride=2), nn.MaxPool2d((2, 3), (2, 3), (0, 1))
    pooled = [pool(jnp.asarray(image(1, 4, 4, 1)))[..., 0][:, None].tolist() for pool in pools]
    assert pooled == next(value for key, value in GOLDEN.items() if key.startswith("MaxPool2d"))


def test_edge_detector_learns_the_kernel():
    X = jnp.ones((6, 8), "float32").at[:, 2:6].set(0)
    Y = models.corr2d(X, jnp.array([[1.0, -1.0]], "float32"))[None, :, :, None]
    apply, params, buffers = functional(models.edge_detector(rngs=nnx.Rngs(0)))

    def loss(params):
        return jnp.sum((apply(params, buffers, X[None, :, :, None])[0] - Y) ** 2)

    gradient = jax.jit(jax.grad(loss))
    for _ in range(10):
        params = jax.tree.map(lambda p, g: p - 0.03 * g, params, gradient(params))
    np.testing.assert_allclose(params["kernel"].reshape(-1), [1, -1], atol=0.15)


@pytest.mark.parametrize("n", [5, 8, 13])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 1), (2, 0), (2, 1), (3, 2), (4, 1)])
def test_out_size(n, kernel_size, stride, padding):
    conv = nnx.eval_shape(lambda: nn.Conv2d(1, 1, kernel_size, stride, padding, rngs=nnx.Rngs(0)))
    apply, params, buffers = functional(conv)
    ours, _ = jax.eval_shape(apply, params, buffers, jax.ShapeDtypeStruct((1, n, n + 1, 1), jnp.float32))
    with torch.device("meta"):
        theirs = torch.nn.Conv2d(1, 1, kernel_size, stride, padding)(torch.empty(1, 1, n, n + 1))
    expected = tuple(nn.out_size(m, kernel_size, stride, padding) for m in (n, n + 1))
    assert ours.shape[1:3] == theirs.shape[2:] == expected == nn.map_size([conv], (n, n + 1))
    assert torch_out_size(n, kernel_size, stride, padding) == expected[0]


# Dropout and batch normalisation from scratch
def test_dropout_layer(monkeypatch):
    X = np.random.default_rng(0).normal(size=(64, 65))
    draws = np.random.default_rng(1).uniform(size=X.shape)
    monkeypatch.setattr(jax.random, "uniform", lambda key, shape: jnp.asarray(draws))
    monkeypatch.setattr(torch, "rand", lambda shape, device: torch.tensor(draws, device=device))
    for p in (0.0, 0.3, 1.0):
        expected = X * (draws > p) / (1 - p) if p < 1 else 0 * X
        np.testing.assert_allclose(models.dropout_layer(jnp.asarray(X), p, jax.random.key(0)), expected, rtol=1e-15)
        np.testing.assert_allclose(reference.dropout_layer(torch.tensor(X), p), expected, rtol=1e-15)


def test_dropout_from_scratch_obeys_the_view_and_draws_anew():
    model = models.DropoutMLPScratch(num_hiddens_1=32, num_hiddens_2=16, in_features=6, rngs=nnx.Rngs(0))
    X = jnp.ones((3, 6), "float32")
    train, params, buffers = functional(train_view(model))
    first, after = jax.jit(train)(params, buffers, X)
    second, _ = jax.jit(train)(params, after, X)
    assert not jnp.array_equal(first, second)
    evaluate = functional(eval_view(model)).apply
    assert jnp.array_equal(evaluate(params, buffers, X)[0], evaluate(params, after, X)[0])


def test_batch_norm_from_scratch_averages_the_biased_variance():
    X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3, 2, 4)), jnp.float32)
    scratch, layer = models.BatchNormScratch(4, 4), nn.BatchNorm(4)
    np.testing.assert_allclose(scratch(X), layer(X), atol=1e-5)
    np.testing.assert_allclose(scratch.moving_var[0, 0, 0], 0.9 + 0.1 * X.var((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(scratch.moving_mean[0, 0, 0], layer.mean[...], atol=1e-6)
    expected = (X - scratch.moving_mean) / scratch.moving_var**0.5
    np.testing.assert_allclose(eval_view(scratch)(X), expected, atol=1e-4)


# MobileNet
def test_mobilenet_has_as_many_parameters_as_published():
    ours = nnx.eval_shape(lambda: models.MobileNetV1(1000, in_channels=3, rngs=nnx.Rngs(0)))
    assert flax_count(ours) == 4_231_976


@pytest.mark.parametrize("width_mult", [0.35, 0.75, 1.0, 1.4])
def test_mobilenet_v2_is_torchvisions(width_mult):
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        theirs = torchvision.models.MobileNetV2(width_mult=width_mult).state_dict()
        twin = reference.MobileNetV2(width_mult=width_mult).state_dict()
    ours = nnx.eval_shape(lambda: models.MobileNetV2(width_mult=width_mult, rngs=nnx.Rngs(0)))
    expected = {key: tuple(value.shape) for key, value in theirs.items()}
    assert {leaf.key: leaf.shape for leaf in leaves(ours)} == expected
    assert [(key, tuple(value.shape)) for key, value in twin.items()] == list(expected.items())


def test_mobilenet_v2_computes_what_torchvisions_does():
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.MobileNetV2(7, width_mult=0.25).double()
    twin = reference.MobileNetV2(7, width_mult=0.25).double()
    twin.load_state_dict(theirs.state_dict())
    X = torch.randn(2, 3, 33, 35, dtype=torch.float64)
    for model in (theirs, twin):
        model.classifier[0].p = 0.0
    torch.testing.assert_close(twin(X), theirs(X), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(twin.eval()(X), theirs.eval()(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", ["mse", "half_mse", "sum_squared_error"])
def test_losses_of_values(loss):
    y_hat, y = np.random.default_rng(0).normal(size=(2, 5, 3))
    ours = getattr(losses, loss)(jnp.asarray(y_hat), jnp.asarray(y))
    theirs = getattr(torch_losses, loss)(torch.tensor(y_hat), torch.tensor(y))
    assert float(ours) == pytest.approx(theirs.item(), rel=1e-14)


@pytest.mark.parametrize("loss", ["cross_entropy", "cross_entropy_of_probabilities"])
def test_losses_of_scores(loss):
    p = np.random.default_rng(0).dirichlet(np.ones(7), 5)
    y = np.array([0, 3, 6, 2, 2])
    ours = getattr(losses, loss)(jnp.asarray(p), jnp.asarray(y))
    theirs = getattr(torch_losses, loss)(torch.tensor(p), torch.tensor(y))
    assert float(ours) == pytest.approx(theirs.item(), rel=1e-14)


def test_l2_penalty():
    w = np.random.default_rng(0).normal(size=(5, 1))
    ours = losses.l2_penalty({"w": jnp.asarray(w), "b": jnp.ones(1)}, 3.0, ("w",))
    theirs = torch_losses.l2_penalty({"w": torch.tensor(w), "b": torch.ones(1)}, 3.0, ("w",))
    assert float(ours) == pytest.approx(theirs.item(), rel=1e-14)
    assert float(ours) == pytest.approx(1.5 * (w**2).sum(), rel=1e-14)
