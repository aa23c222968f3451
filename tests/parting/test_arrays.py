"""Arrays, indices and images that differ."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from flax import nnx


def test_float64_is_taken_on_demand_alone(set_jax):
    set_jax("jax_enable_x64", False)
    doubles = np.ones(1)
    assert (jnp.asarray(doubles).dtype, jnp.arange(3).dtype) == (jnp.float32, jnp.int32)
    assert (torch.tensor(doubles).dtype, torch.arange(3).dtype) == (torch.float64, torch.int64)


def test_standard_deviation():
    ours = jnp.arange(4.0).std()
    theirs = torch.arange(4.0).std()
    assert (float(ours), theirs.item()) == pytest.approx((1.25**0.5, (5 / 3) ** 0.5))


def test_an_index_beyond_the_end():
    numbers = jnp.arange(4.0)
    far = 9
    assert float(numbers[far]) == 3 and jnp.isnan(jnp.take(numbers, far))
    assert numbers.at[far].set(1).tolist() == [0, 1, 2, 3]
    with pytest.raises(IndexError):
        torch.arange(4.0)[far]


def test_a_word_beyond_the_vocabulary():
    assert jnp.isnan(nnx.Embed(3, 2, rngs=nnx.Rngs(0))(jnp.array([5]))).all()
    with pytest.raises(IndexError):
        torch.nn.Embedding(3, 2)(torch.tensor([5]))


def test_the_largest_of_equals():
    assert jax.lax.top_k(jnp.zeros(40), 3)[1].tolist() == [0, 1, 2]
    assert torch.zeros(40).topk(3).indices.tolist() != [0, 1, 2]


def test_pictures_made_smaller():
    row = np.arange(8, dtype=np.float32) ** 2
    theirs = torch.nn.functional.interpolate(torch.tensor(row)[None, None], size=4, mode="linear").ravel().numpy()
    smooth = jax.image.resize(jnp.asarray(row), (4,), "linear")
    plain = jax.image.resize(jnp.asarray(row), (4,), "linear", antialias=False)
    assert np.allclose(plain, theirs, atol=1e-5) and abs(np.asarray(smooth) - theirs).max() > 1


def test_safetensors_of_a_transposed_array():
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    read = safetensors.numpy.load(safetensors.numpy.save({"x": turned}))["x"]
    whole = safetensors.numpy.load(safetensors.numpy.save({"x": np.ascontiguousarray(turned)}))["x"]
    assert read.shape == turned.shape and not np.array_equal(read, turned) and np.array_equal(whole, turned)
    theirs = torch.tensor(turned.T).T
    with pytest.raises(ValueError, match="contiguous"):
        safetensors.torch.save({"x": theirs})


def test_the_order_of_what_is_no_number():
    scores = [1.0, np.nan, np.inf]
    assert torch.tensor(scores).argsort(descending=True).tolist() == [1, 2, 0]
    assert jnp.argsort(-jnp.array(scores)).tolist() == [2, 0, 1]


def test_pictures_made_larger():
    row = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)
    theirs = torch.nn.functional.interpolate(torch.tensor(row), (1, 8), mode="bicubic")
    for antialias in (True, False):
        ours = jax.image.resize(jnp.asarray(row), (1, 1, 1, 8), "cubic-pytorch", antialias=antialias)
        assert np.allclose(ours, theirs, atol=1e-6) is not antialias


def test_who_may_read_a_file_of_safetensors(tmp_path):
    mask = os.umask(0o022)
    try:
        torch.save({}, tmp_path / "torch")
        safetensors.numpy.save_file({"weight": np.zeros(3)}, tmp_path / "safetensors")
    finally:
        os.umask(mask)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("torch", "safetensors")] == [0o644, 0o600]
