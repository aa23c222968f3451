"""EfficientNet-Lite0 beside its twin, and the names of the published weights."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from twins import outline

import parity
from d2l_jax.errors import InputError
from d2l_jax.functional import eval_view, functional
from d2l_jax.models.efficientnet_lite import EfficientNetLite0, PadSame
from d2l_jax.weights.efficientnet_lite import renamed
from d2l_jax.weights.rules import leaves
from parity import reference

NARROW = {"num_classes": 5, "width_mult": 0.125}


def published_names() -> list[str]:
    """The names in the file: stem, 16 blocks of which the first expands nothing, head."""
    batch_norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    layers = [("_conv_stem", "_bn0")]
    for i in range(16):
        parts = (("_expand_conv", "_bn0"),) * (i > 0) + (("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
        layers += [(f"_blocks.{i}.{conv}", f"_blocks.{i}.{norm}") for conv, norm in parts]
    layers.append(("_conv_head", "_bn1"))
    names = [name for conv, norm in layers for name in (f"{conv}.weight", *(f"{norm}.{each}" for each in batch_norm))]
    return [*names, "_fc.weight", "_fc.bias"]


def test_published_names_are_those_of_the_model():
    ours = {leaf.key for leaf in leaves(outline("EfficientNetLite0"))}
    assert ours == renamed(dict.fromkeys(published_names(), np.zeros(()))).keys() and len(ours) == 296


@pytest.mark.parametrize("name", ["_blocks.0._se_reduce.weight", "features.0.weight", "_bn2.weight"])
def test_control_a_name_of_another_network_is_refused(name):
    with pytest.raises(InputError, match=f"{name} is no tensor of EfficientNet-Lite0"):
        renamed({name: np.zeros(())})


def test_it_has_as_many_numbers_as_published():
    trained = sum(np.prod(leaf.shape, dtype=int) for leaf in leaves(outline("EfficientNetLite0")) if leaf.trained)
    assert trained == 4_652_008


@pytest.mark.parametrize("size, stride, kernel, zeros", [(8, 2, 3, (0, 1)), (7, 2, 3, (1, 1)), (8, 2, 5, (1, 2))])
def test_zeros_are_where_tensorflow_has_them(size, stride, kernel, zeros):
    padded = PadSame(kernel, stride)(jnp.ones((1, size, size, 1)))
    assert np.array_equal(padded[0, zeros[0], :, 0], [0] * zeros[0] + [1] * size + [0] * zeros[1])
    assert not padded[0, : zeros[0]].any() and padded.shape[1] == sum(zeros) + size


@pytest.mark.slow
def test_outputs_are_the_twins():
    theirs = reference.EfficientNetLite0(**NARROW).double().eval()
    ours = parity.load_state_dict(outline("EfficientNetLite0", **NARROW), theirs.state_dict(), dtype=jnp.float64)
    images = np.random.default_rng(0).normal(size=(2, 33, 46, 3))
    apply, params, buffers = functional(eval_view(ours))
    with torch.no_grad():
        expected = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    np.testing.assert_allclose(apply(params, buffers, jnp.asarray(images))[0], expected, atol=1e-12)


@pytest.mark.slow
def test_the_check_passes():
    images = np.random.default_rng(0).normal(size=(4, 33, 46, 3)).astype("float32")
    result = parity.check(EfficientNetLite0(**NARROW, rngs=nnx.Rngs(0)), reference.EfficientNetLite0(**NARROW), images)
    result.raise_if_failed()
