"""Chapters 3 to 11: every model against the facts of the specification, on both sides.

Models are built from shapes alone where nothing but shapes is asked: VGG-11 would need half a gigabyte."""

import inspect
import json
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
import torch
from flax import nnx
from parameter_counts import flax_count, torch_count
from sampled import sampled

import parity.reference as reference
from d2l_jax import eval_view, functional, models, train_view
from d2l_jax.abstract import abstract
from d2l_jax.case import Case
from d2l_jax.catalog import CASES, get
from d2l_jax.errors import InputError
from d2l_jax.runs.overview import overview
from d2l_jax.weights.rules import leaves
from parity.twin.torch_side import torch_model

FACTS = Path(__file__).parent / "facts"
SPEC = json.loads((FACTS / "state_dicts.json").read_text())
BOOK = [case.name for case in CASES if case.title in SPEC]
ALL = [case.name for case in CASES]
CORRECTED = {  # other masks or losses, the same weights
    "seq2seq-corrected": "seq2seq",
    "transformer-corrected": "transformer",
    "bert-corrected": "bert-wikitext2",
    "sentiment-cnn-max": "sentiment-cnn",
    "snli-attention-masked": "snli-attention",
    "tiny-ssd-mined": "tiny-ssd",
}
PARAMETERS = {  # of the models that are not in the book
    "two-hidden-mlp-scratch": 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10,
    "two-hidden-mlp": 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10,
    "lenet5": 61_706,
    # as published for 1000 classes and 3 channels, less what 10 classes and 1 channel need
    "mobilenet": 4_231_976 - 990 * (1024 + 1) - 2 * 32 * 9,
    **dict.fromkeys(["valley", "gorge-momentum", "gorge-adagrad", "gorge-rmsprop"], 2),
    **{case.name: 6 for case in CASES if case.data == "airfoil"},
    **{case.name: 61_706 for case in CASES if case.name.startswith("scheduled-lenet-")},
    "scheduled-bn-lenet": 62_158,
    "resnet18-hotdog-scratch": 11_177_538,
    "resnet34-dogs-corrected": 22_084_768,
    "frozen-features": (3 * 16 * 9 + 16) + 2 * 16 + (16 * 2 + 2),
    **dict.fromkeys(["value-iteration", "q-learning", "naive-bayes", "information"], 0),
    **dict.fromkeys(["gp-priors", "marginal-likelihood", "gp-posterior"], 0),
    **dict.fromkeys(["box-conversions", "multibox-prior", "box-iou", "multibox-target", "multibox-detection"], 0),
    "style-transfer": 3 * 300 * 450 + 12_944_960,
    "style-transfer-vgg16": 3 * 300 * 450 + 14_714_688 - 2 * (512 * 512 * 9 + 512),
    "fast-rcnn-head": (5 * 6 * 7 + 7) + (7 * 7 + 7) + (7 * 3 + 3) + (7 * 4 + 4),
    "bert-encoder-published": 16_329_728 - 488 * 768 + 2 * 768,
    **dict.fromkeys(["gan", "gan-saturating", "gan-least-squares", "gan-hinge", "gan-wasserstein"], 37 + 6),
    "spectral-discriminator": (3 * 16 + 1) * 64 + (64 * 16 + 1) * 128 + 4 * 4 * 128 + 1,
    "feature-cnn": 94_986,
    **dict.fromkeys(
        ["dcgan-small", "dcgan-together"],
        sum(c * 16 for c in (3 * 16, 16 * 32, 32 * 64, 64 * 128, 128))
        + sum(c * 16 for c in (100 * 128, 128 * 64, 64 * 32, 32 * 16, 16 * 3))
        + 4 * (16 + 32 + 64 + 128),
    ),
    "gan-relativistic": 66_817 + 82_946,
    "gan-backbone": 1_576_769 + 2_782_851,
    "gan-conditional": 1_556_609 + 1_225_475,
    **dict.fromkeys(["mf", "mf-first-edition"], 81_375),
    **dict.fromkeys(["dcgan", "dcgan-corrected"], 2_765_696 + 3_576_704),
    **dict.fromkeys(["neumf", "neumf-first-edition"], 52_950),
    **dict.fromkeys(["caser", "caser-hinge"], 65_286),
    **dict.fromkeys(["autorec", "autorec-first-edition"], 944_443),
    **dict.fromkeys(["fm", "fm-first-edition"], 139 * 21 + 2),
    **dict.fromkeys(["deepfm", "deepfm-first-edition"], 139 * 11 + 2 + 11_071),
    "word2vec-cbow": 1_343_800,
    "word2vec-hierarchical-softmax": 1_343_800 - 100,
    "glove": 2 * 6719 * (100 + 1),
    "fasttext-subwords": 31 * 5,
    "mobilenet-v2": 3_504_872 - 990 * (1280 + 1) - 2 * 32 * 9,
}
OWN = [name for name in ALL if name not in BOOK]
LISTED = {row["name"]: row["parameters"] for row in overview()}
SUPERVISED = [case.name for case in CASES if case.inputs]


@cache
def flax_shapes(name: str) -> nnx.Module:
    return abstract(get(name).build)


@cache
def torch_shapes(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return torch_model(get(name))


CONSTANT = {"P"}  # the table of positions, which a formula gives
APART = {"Seq2SeqDecoder (shape check)", "Seq2SeqAttentionDecoder (shape check)"}  # see test_seq2seq.py


def test_the_book_is_complete_and_in_order():
    assert [get(name).title for name in BOOK] == [title for title in SPEC if title not in APART]
    assert len(set(ALL)) == len(ALL)


@pytest.mark.parametrize("name", BOOK)
def test_keys_shapes_and_counts(name):
    facts = SPEC[get(name).title]
    ours = flax_shapes(name)
    theirs = torch_shapes(name)
    expected = facts.get("state_dict", {}) | facts.get("unregistered_tensors", {})
    expected = {key: tuple(shape) for key, shape in expected.items() if key not in CONSTANT}
    flax_tensors = {leaf.key: leaf.shape for leaf in leaves(ours)}
    torch_tensors = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    assert flax_tensors == expected
    assert torch_tensors == expected
    count = facts.get("params_including_unregistered", facts["params"])
    assert flax_count(ours) == torch_count(theirs) == count == LISTED[name]


@pytest.mark.parametrize("name", OWN)
def test_keys_shapes_and_counts_outside_the_book(name):
    ours = flax_shapes(name)
    theirs = torch_shapes(name)
    torch_tensors = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    assert {leaf.key: leaf.shape for leaf in leaves(ours)} == torch_tensors
    assert flax_count(ours) == torch_count(theirs) == parameters(name) == LISTED[name]


def parameters(name: str) -> int:
    """The number of parameters that the tables hold for `name`; KeyError for a model that none of them knows."""
    facts = SPEC.get(get(CORRECTED.get(name, name)).title)
    return facts["params"] if facts else PARAMETERS[name]


def test_control_a_model_that_no_table_knows_has_no_count(monkeypatch):
    monkeypatch.delitem(PARAMETERS, "lenet5")
    with pytest.raises(KeyError, match="lenet5"):
        test_keys_shapes_and_counts_outside_the_book("lenet5")


@pytest.mark.parametrize("name", SUPERVISED)
def test_forward_in_both_views(name):
    case = get(name)
    model = flax_shapes(name)
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
STRIDED = (
    "residual-1x1", "googlenet", "resnet18", "densenet", "regnetx32", "mobilenet", "mobilenet-v2", "resnet18-multi-gpu",
    "transposed-conv", "fcn", "resnet18-cifar10", "resnet18-hotdog", "resnet18-hotdog-scratch",
    "resnet18-kaggle-cifar10", "resnet34-dogs", "resnet34-dogs-corrected", "spectral-discriminator",
)  # fmt: skip


@pytest.mark.parametrize("name", sampled(SUPERVISED))
def test_probe_has_different_sizes_and_fits(name):
    case = get(name)
    probes = case.probe_arrays
    assert all(len(set(array.shape)) == len(array.shape) for array in probes)
    even = [n for n in {n for array in probes for n in array.shape} if n % 2 == 0]
    # Strides pad unevenly, if they do, where the size is even: there one axis is even, else all are odd.
    assert len(even) == (name in STRIDED or name in EVEN)
    model = abstract(lambda: case.build(probe=True))
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
    for model in (model for case in CASES for model in models_of(case)):
        assert getattr(models, model.__name__) is model


def models_of(case: Case) -> list:
    return list(case.model.values()) if isinstance(case.model, dict) else [case.model] if case.model else []


def test_unknown_name():
    with pytest.raises(InputError, match="did you mean resnet18"):
        get("ResNet-18")
