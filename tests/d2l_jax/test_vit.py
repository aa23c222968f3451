"""Section 11.8: the order of the patches, pre-normalisation, the exact GELU, and bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from twins import in_jax, in_torch, normal, outline, twins

from d2l_jax import eval_view, functional, models, train_view
from d2l_jax.errors import InputError

SIZES = {
    "img_size": (6, 4),
    "patch_size": (3, 2),
    "num_hiddens": 6,
    "mlp_num_hiddens": 5,
    "num_heads": 3,
    "num_blks": 1,
    "num_classes": 4,
}


def run(model, *inputs):
    apply, params, buffers = functional(model)
    return apply(params, buffers, *inputs)[0]


def test_patches_are_cut_row_by_row_on_both_sides():
    ours, theirs = twins("PatchEmbedding", img_size=(6, 4), patch_size=(3, 2), num_hiddens=5, in_channels=2)
    X = normal(2, 6, 4, 2)
    patches = run(ours, *in_jax(X))
    expected = theirs(*in_torch(X.transpose(0, 3, 1, 2))).detach()
    np.testing.assert_allclose(patches, expected, rtol=1e-12, atol=1e-14)
    kernel = ours.conv.kernel[...]
    bias = ours.conv.bias[...]
    second = np.tensordot(X[:, :3, 2:], kernel, 3) + bias[None]
    np.testing.assert_allclose(patches[:, 1], second, rtol=1e-12, atol=1e-14)
    assert patches.shape == (2, ours.num_patches, 5) and not np.allclose(patches[:, 2], second)


def test_the_gelu_is_the_exact_one():
    ours, theirs = twins("ViTMLP", mlp_num_hiddens=7, mlp_num_outputs=5, num_inputs=3)
    X = normal(2, 4, 3)
    hidden = ours.dense1(*in_jax(X))
    exact, approximate = (ours.dense2(jax.nn.gelu(hidden, approximate=tanh)) for tanh in (False, True))
    outputs = run(eval_view(ours), *in_jax(X))
    np.testing.assert_allclose(outputs, exact, rtol=1e-12)
    np.testing.assert_allclose(outputs, theirs.eval()(*in_torch(X)).detach(), rtol=1e-12, atol=1e-14)
    assert not np.allclose(outputs, approximate, rtol=1e-6)


def test_a_block_normalises_inside_of_the_residual_connection():
    """A block adds the outputs of its last layers to X itself; the Transformer's block normalises them."""
    block = models.ViTBlock(6, 6, 5, 3, 0.0, rngs=nnx.Rngs(0))
    for last in (block.attention.W_o.kernel, block.mlp.dense2.kernel, block.mlp.dense2.bias):
        last.set_value(jnp.zeros_like(last[...]))
    X = jnp.asarray(normal(2, 3, 6), jnp.float32)
    np.testing.assert_array_equal(run(block, X), X)
    post = models.TransformerEncoderBlock(6, 5, 3, 0.0, rngs=nnx.Rngs(0))
    for last in (post.attention.W_o.kernel, post.ffn.dense2.kernel, post.ffn.dense2.bias):
        last.set_value(jnp.zeros_like(last[...]))
    assert not np.allclose(run(post, X), X)


@pytest.mark.slow
def test_the_class_token_stands_first_and_starts_at_zero():
    ours, theirs = twins("ViT", **SIZES)
    assert not ours.cls_token[...].any() and not theirs.cls_token.any()
    assert ours.pos_embedding[...].shape == (1, 5, 6)
    X = normal(2, 6, 4, 1)
    scores = run(eval_view(ours), *in_jax(X))
    expected = theirs.eval()(*in_torch(X.transpose(0, 3, 1, 2))).detach()
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-13)
    ours.cls_token.set_value(jnp.asarray(normal(1, 1, 6)))
    assert not np.allclose(run(eval_view(ours), *in_jax(X)), scores)


def test_positions_are_learned_from_a_standard_normal():
    draw = lambda: models.ViT(num_hiddens=128, mlp_num_hiddens=8, num_blks=0, rngs=nnx.Rngs(0))  # noqa: E731
    drawn = np.asarray(jax.jit(lambda: draw().pos_embedding[...])())
    assert drawn.std() == pytest.approx(1, abs=0.05) and drawn.mean() == pytest.approx(0, abs=0.05)


def test_dropout_is_drawn_in_training_alone():
    ours, _ = twins("ViT", **SIZES, emb_dropout=0.5, blk_dropout=0.5)
    (X,) = in_jax(normal(2, 6, 4, 1))
    train, params, buffers = functional(train_view(ours))
    first, after = train(params, buffers, X)
    assert not np.allclose(first, train(params, after, X)[0])
    np.testing.assert_array_equal(run(eval_view(ours), X), run(eval_view(ours), X))


@pytest.mark.parametrize(("size", "patch"), [((7, 4), (3, 2)), ((6, 5), (3, 2)), (96, 17)])
def test_patches_that_do_not_fill_the_image_are_refused(size, patch):
    with pytest.raises(InputError, match="multiples of the patch are right"):
        outline("ViT", **SIZES | {"img_size": size, "patch_size": patch})


def test_images_of_another_size_are_refused():
    model = outline("ViT", **SIZES)
    with pytest.raises(InputError, match="images of 4x6; 6x4 is right"):
        model(jnp.zeros((2, 4, 6, 1)))


def test_heads_must_divide_the_hidden_units():
    with pytest.raises(InputError, match="6 hidden units for 4 heads"):
        outline("ViT", **SIZES | {"num_heads": 4})
