"""The book's surprises of chapters 3 to 20 as they are, and as `corrected` has them, on both sides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from twins import in_jax, in_torch, normal, twins

from d2l_jax import eval_view, functional, init, models
from d2l_jax.weights.rules import leaves
from parity import reference
from parity.twin.structure import with_shapes

SMALL = {"width_mult": 0.125, "image_size": (95, 95)}
XAVIER = [
    ("AlexNet", SMALL, "net.8.weight", (6 / (48 * 9 * 2)) ** 0.5),
    ("DenseNet", {"arch": (1, 1)}, "net.dense_blk1.net.0.2.weight", (6 / ((64 + 32) * 9)) ** 0.5),
    ("RegNetX32", {"depths": (1, 1)}, "net.stage1.0.conv1.weight", (6 / (32 + 32)) ** 0.5),
]


def started(name: str, key: str, **args) -> list[np.ndarray]:
    """Returns a tensor as either side starts it."""
    model = getattr(models, name)(**args, rngs=nnx.Rngs(0))
    path = next(leaf.path for leaf in leaves(model) if leaf.key == key)
    ours = dict(nnx.iter_graph(model))[path]
    torch.manual_seed(0)
    return [np.asarray(ours[...]), getattr(reference, name)(**args).state_dict()[key].numpy()]


@pytest.mark.parametrize(("name", "args", "key", "bound"), XAVIER)
def test_xavier_does_nothing_in_the_book_and_is_heeded_if_corrected(name, args, key, bound):
    for values in started(name, key, **args, corrected=True):
        assert 0.95 * bound < abs(values).max() <= bound * (1 + 1e-6)
    for values in started(name, key, **args):
        assert abs(values).max() < 0.9 * bound


@pytest.mark.slow
@pytest.mark.parametrize("corrected", [False, True])
def test_a_small_start_reaches_the_blocks_of_a_resnet_if_corrected_only(corrected):
    for key, small in {"0.weight": True, "fc.1.weight": True, "resnet_block1.1.conv2.weight": corrected}.items():
        for values in started("resnet18_multi_gpu", key, width_mult=0.25, corrected=corrected):
            assert bool(abs(values.std() - 0.01) < 0.002) is small


def test_linear_regression_starts_small_if_corrected_only():
    for values in started("LinearRegression", "net.weight", in_features=400, corrected=True):
        assert values.std() == pytest.approx(0.01, rel=0.15)
    for bias in started("LinearRegression", "net.bias", in_features=400, corrected=True):
        assert not bias.any()
    for values in started("LinearRegression", "net.weight", in_features=400):
        assert values.std() == pytest.approx(400**-0.5 / 3**0.5, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("corrected", [False, True])
def test_scores_of_nin_are_below_zero_if_corrected_only(corrected):
    ours, theirs = twins("NiN", width_mult=0.0625, corrected=corrected)
    images = normal(2, 1, 95, 95)
    apply, params, buffers = functional(eval_view(ours))
    scores = apply(params, buffers, jnp.asarray(images.transpose(0, 2, 3, 1)))[0]
    with torch.no_grad():
        assert np.allclose(scores, theirs.eval()(*in_torch(images)), rtol=0, atol=1e-12)
    assert bool((scores < 0).any()) is corrected


@pytest.mark.parametrize(("corrected", "channels"), [(False, 16), (True, 2)])
def test_groups_are_the_width_of_a_group_or_their_number(corrected, channels):
    """A block of 32 channels with 16 as `groups`: two groups of 16 channels, or sixteen of 2."""
    args = {"num_channels": 32, "groups": 16, "bot_mul": 1.0, "corrected": corrected}
    theirs = reference.ResNeXtBlock(**args)
    shapes = {
        leaf.key: leaf.shape for leaf in leaves(with_shapes(lambda: models.ResNeXtBlock(**args, rngs=nnx.Rngs(0))))
    }
    assert shapes["conv2.weight"] == tuple(theirs.conv2.weight.shape) == (32, channels, 3, 3)


@pytest.mark.parametrize("corrected", [False, True])
def test_my_linear_learns_if_corrected_only(corrected):
    ours, theirs = twins("MyLinear", in_units=5, units=3, corrected=corrected)
    X = normal(4, 5)
    apply, params, buffers = functional(ours)
    outputs, pull = jax.vjp(lambda params: apply(params, buffers, jnp.asarray(X))[0], params)
    (slopes,) = pull(jnp.ones_like(outputs))
    result = theirs(*in_torch(X))
    assert np.allclose(outputs, result.detach(), rtol=0, atol=1e-12)
    assert result.requires_grad is corrected
    assert bool(np.any(slopes["weight"])) is corrected


@pytest.mark.parametrize("corrected", [False, True])
def test_rows_without_a_valid_key_are_uniform_or_zero_if_corrected(corrected):
    scores = normal(2, 3, 4)
    lengths = np.array([0, 3])
    ours = models.masked_softmax(*in_jax(scores, lengths), corrected=corrected)
    theirs = reference.masked_softmax(*in_torch(scores, lengths), corrected=corrected)
    assert np.allclose(ours, theirs, rtol=0, atol=1e-15)
    assert np.allclose(ours[0], 0 if corrected else 0.25)
    assert np.allclose(np.asarray(ours)[1].sum(-1), 1) and not np.asarray(ours)[1, :, 3].any()


@pytest.mark.parametrize("name", ["LinearRegressionScratch", "BNLeNetScratch", "LeNetScratch"])
def test_scratch_models_hold_all_their_tensors(name):
    """The book's have an empty state dict, and moving statistics that no file keeps."""
    args = {"num_inputs": 2} if name == "LinearRegressionScratch" else {}
    theirs = getattr(reference, name)(**args).state_dict()
    ours = [leaf.key for leaf in leaves(with_shapes(lambda: getattr(models, name)(**args, rngs=nnx.Rngs(0))))]
    assert sorted(ours) == sorted(theirs) and len(ours) > 1
    assert ("net.1.moving_var" in ours) is (name == "BNLeNetScratch")


def test_moving_statistics_stay_in_evaluation_while_gradients_are_on():
    """The book's layer asks whether gradients are on, and so would use the batch's statistics here."""
    layer = reference.BatchNormScratch(3, 2).eval()
    before = layer.moving_mean.clone()
    layer(torch.ones(5, 3, requires_grad=True))
    assert torch.equal(layer.moving_mean, before)
    layer.train()(torch.ones(5, 3))
    assert not torch.equal(layer.moving_mean, before)


@pytest.mark.slow
@pytest.mark.parametrize("corrected", [False, True])
def test_frozen_features_keep_their_statistics_if_corrected_only(corrected):
    """An image's scores depend on the others of its batch, in evaluation too; and every call moves the statistics."""
    args = {"num_classes": 3, "layers": (1, 1, 1, 1), "num_features": 5, "width_mult": 0.0625, "corrected": corrected}
    ours, theirs = twins("DogBreeds", **args)
    images = normal(4, 3, 33, 35)
    theirs.eval()
    with torch.no_grad():
        alone, together = (theirs(torch.from_numpy(images[:count]))[:2].numpy() for count in (2, 4))
    assert np.allclose(alone, together, atol=1e-6) is corrected
    pure = functional(eval_view(ours))
    apply = jax.jit(pure.apply)
    channels_last = images.transpose(0, 2, 3, 1)
    for count, expected in ((2, alone), (4, together)):
        outputs, buffers = apply(pure.params, pure.buffers, channels_last[:count])
        np.testing.assert_allclose(outputs[:2], expected, atol=1e-4)
        same = jax.tree.map(np.array_equal, buffers, pure.buffers)
        assert all(jax.tree.leaves(same)) is corrected
    assert (int(theirs.features.bn1.num_batches_tracked) == 0) is corrected


@pytest.mark.parametrize("num_heads, num_blks, dropout", [(2, 3, 0.4), (4, 1, 0.1)])
def test_sizes_of_a_bert_classifier_are_heeded(num_heads, num_blks, dropout):
    model = models.bert_classifier(11, 8, 12, num_heads, num_blks, dropout, 7, rngs=nnx.Rngs(0))
    attentions = [node for _, node in nnx.iter_graph(model) if isinstance(node, models.MultiHeadAttention)]
    rates = {node.rate for _, node in nnx.iter_graph(model) if isinstance(node, nnx.Dropout)}
    assert [attention.num_heads for attention in attentions] == [num_heads] * num_blks and rates == {dropout}


@pytest.mark.parametrize("corrected", [False, True])
def test_scales_of_dcgan_start_near_0_and_near_1_if_corrected(corrected):
    """Behind a scale of 0.02 hardly anything is left of a map, less than a step of a byte: a fresh image is grey."""
    torch.manual_seed(0)
    net = reference.dcgan_generator(n_G=8, corrected=corrected)
    image = net(torch.randn(5, 100, 1, 1))
    assert (image.std() > 1 / 128) == corrected
    start = init.init_dcgan if corrected else init.init_normal
    block = start(models.G_block(64, 16, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(1))
    for scale in (net[0].batch_norm.weight.detach().numpy(), np.asarray(block.batch_norm.scale[...])):
        assert abs(scale.mean() - corrected) < 0.02 and 0.01 < scale.std() < 0.03
    for shift in (net[0].batch_norm.bias.detach().numpy(), np.asarray(block.batch_norm.bias[...])):
        assert shift.any() == (not corrected)
    for weight in (net[0].conv2d_trans.weight.detach().numpy(), np.asarray(block.conv2d_trans.kernel[...])):
        assert abs(weight.std() / 0.02 - 1) < 0.1


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_biases_of_the_first_gan_start_near_0_as_its_weights(name):
    for bias in started(name, "0.bias"):
        assert bias.any() and np.abs(bias).max() < 0.08
