"""ResNet-18, ResNet-34 and the features of VGG under torchvision's names: its state_dicts load by rule."""

import jax
import numpy as np
import pytest
import torch
from flax import nnx
from twins import outline

import parity
from d2l_jax import models
from d2l_jax.errors import InputError
from d2l_jax.functional import eval_view, functional, train_view
from d2l_jax.weights.rules import leaves, variables
from parity import reference

torchvision = pytest.importorskip("torchvision")

RESNETS = {"resnet18": "torchvision_resnet18", "resnet34": "torchvision_resnet34"}
FEATURES = {"vgg16": "vgg16_features", "vgg19": "vgg19_features"}
OURS = RESNETS | FEATURES
COUNTS = {"resnet18": 11_689_512, "resnet34": 21_797_672, "vgg16": 14_714_688, "vgg19": 20_024_384}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 33, 46, 3)).astype(np.float32)


def channels_first(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def torchvision_shapes(name: str) -> dict[str, tuple]:
    with torch.device("meta"):
        model = getattr(torchvision.models, name)()
    model = model if name in RESNETS else model.features
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


@pytest.mark.parametrize("name", OURS)
def test_names_and_shapes_are_torchvisions(name):
    model = outline(OURS[name])
    ours = {leaf.key: leaf.shape for leaf in leaves(model)}
    assert ours == torchvision_shapes(name)
    trained = sum(np.prod(leaf.shape, dtype=int) for leaf in leaves(model) if leaf.trained)
    assert trained == COUNTS[name]


@pytest.mark.slow
def test_resnet18_with_torchvisions_weights_computes_the_same(images):
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18()
    ours = parity.load_state_dict(outline("torchvision_resnet18"), theirs.state_dict())
    assert_same_outputs(ours, theirs.eval(), images, eval_view)
    assert_same_outputs(ours, theirs.train(), images, train_view)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet34", "vgg16", "vgg19"])
def test_the_others_with_torchvisions_weights_compute_the_same(name, images):
    theirs = getattr(torchvision.models, name)()
    if name in FEATURES:
        theirs = theirs.features
    ours = parity.load_state_dict(outline(OURS[name]), theirs.state_dict())
    assert_same_outputs(ours, theirs.eval(), images, eval_view)


def assert_same_outputs(ours: nnx.Module, theirs: torch.nn.Module, images: np.ndarray, view) -> None:
    pure = functional(view(ours))
    outputs, _ = jax.jit(pure.apply)(pure.params, pure.buffers, images)
    with torch.no_grad():
        expected = theirs(channels_first(images)).numpy()
    expected = expected.transpose(0, 2, 3, 1) if expected.ndim == 4 else expected
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_the_twin_is_torchvisions_network(name, images):
    theirs = getattr(torchvision.models, name)(num_classes=5)
    twin = getattr(reference, f"torchvision_{name}")(num_classes=5)
    twin.load_state_dict(theirs.state_dict())
    for model in (theirs, twin):
        model.eval()
    with torch.no_grad():
        assert torch.equal(twin(channels_first(images)), theirs(channels_first(images)))


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_the_twin_of_the_features_is_torchvisions(name):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)().features
        twin = getattr(reference, f"{name}_features")()
    assert repr(twin) == repr(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torchvision_resnet34", "finetune_resnet18"])
def test_flax_and_twin_are_the_same_at_an_eighth_of_the_width(name, images):
    options = {"num_classes": 5, "width_mult": 0.125}
    theirs = getattr(reference, name)(**options)
    ours = parity.load_state_dict(outline(name, **options), theirs.state_dict())
    assert_same_outputs(ours, theirs, images, train_view)


def test_features_of_vgg_and_their_first_layers(images):
    options = {"num_layers": 29, "width_mult": 0.0625}
    theirs = reference.vgg19_features(**options)
    ours = parity.load_state_dict(outline("vgg19_features", **options), theirs.state_dict())
    assert len(ours) == 29
    assert_same_outputs(ours, theirs, images, eval_view)


def test_the_state_dict_of_a_whole_vgg_loads_into_its_features():
    with torch.device("meta"):
        whole = torchvision.models.vgg16()
    small = {
        key: torch.randn(tuple(value.shape)) if key.startswith("features.") else torch.zeros(1)
        for key, value in whole.state_dict().items()
    }
    ours = parity.load_state_dict(outline("vgg16_features"), small)
    assert np.array_equal(parity.state_dict(ours)["28.weight"], small["features.28.weight"].numpy())


def test_control_a_resnet_of_another_depth_is_refused():
    state = reference.torchvision_resnet34(5, 0.125).state_dict()
    with pytest.raises(InputError, match="unexpected layer1.2.conv1.weight"):
        parity.load_state_dict(outline("torchvision_resnet18", num_classes=5, width_mult=0.125), state)


@pytest.mark.slow
def test_control_another_stride_is_seen(images):
    options = {"num_classes": 5, "width_mult": 0.125}
    theirs = reference.torchvision_resnet18(**options)
    ours = parity.load_state_dict(outline("torchvision_resnet18", **options), theirs.state_dict())
    theirs.conv1.padding = (2, 2)
    with pytest.raises(AssertionError, match="Mismatched"):
        assert_same_outputs(ours, theirs.eval(), images, eval_view)


def started(name: str, keys: list[str], **options: int) -> list[dict[str, np.ndarray]]:
    """Returns the tensors `keys` as either side starts them."""

    def draw() -> dict[str, jax.Array]:
        model = getattr(models, name)(**options, rngs=nnx.Rngs(0))
        return {leaf.key: variables(model)[leaf.path][...] for leaf in leaves(model) if leaf.key in keys}

    theirs = getattr(reference, name)(**options).state_dict()
    return [
        {key: np.asarray(value) for key, value in jax.jit(draw)().items()},
        {key: theirs[key].numpy() for key in keys},
    ]


@pytest.mark.slow
def test_start_of_the_weights():
    keys = ["layer1.0.conv1.weight", "fc.weight", "fc.bias"]
    for state in started("finetune_resnet18", keys, num_classes=7):
        assert state["layer1.0.conv1.weight"].std() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
        assert np.abs(state["fc.weight"]).max() == pytest.approx((6 / (512 + 7)) ** 0.5, rel=0.05)
        assert state["fc.bias"].any()
    for state in started("vgg16_features", ["2.weight", "2.bias"], num_layers=5):
        assert state["2.weight"].std() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
        assert not state["2.bias"].any()
