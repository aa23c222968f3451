"""Augmentation gives torchvision's pixels for the same draws: bytes exactly, numbers to rounding."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import by_torch, pictures, same_pixels, torch_picture
from torchvision.transforms import functional as F1
from torchvision.transforms.v2 import functional as F

from d2l_jax.augment import (
    CenterCrop,
    ColorJitter,
    Compose,
    Crop,
    Jitter,
    Normalize,
    Resize,
    ToFloat,
    colour,
    geometry,
    pixels,
)
from d2l_jax.errors import InputError

FACTORS = np.array([0, 0.3, 1, 1.7, 10], np.float32)
TURNS = np.array([-0.5, -0.1, 0, 0.2, 0.5], np.float32)
COLOURS = {
    "brightness": (colour.adjust_brightness, F.adjust_brightness, FACTORS),
    "contrast": (colour.adjust_contrast, F.adjust_contrast, FACTORS),
    "saturation": (colour.adjust_saturation, F.adjust_saturation, FACTORS),
    "hue": (colour.adjust_hue, F.adjust_hue, TURNS),
}
DTYPES = {"uint8": 0.0, "float32": 2e-6}
CROPS = [
    (0, 0, 33, 47),  # all of it
    (0, 0, 1, 1),
    (32, 46, 1, 1),
    (5, 0, 1, 47),
    (0, 9, 33, 1),
    (13, 16, 20, 31),  # the size of the result
    (1, 2, 31, 44),
    (7, 3, 20, 44),  # only one side changes
]


def crops(boxes) -> Crop:
    return Crop(*jnp.asarray(np.array(boxes, np.int32).T))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", COLOURS)
def test_one_change_of_colour(name: str, dtype: str):
    ours, theirs, factors = COLOURS[name]
    X = pictures(len(factors), 13, 17, dtype)
    expected = by_torch(theirs, X, factors.tolist())
    same_pixels(jax.jit(ours)(X, factors), expected, DTYPES[dtype])


@pytest.mark.parametrize("name", COLOURS)
def test_one_channel(name: str):
    ours, theirs, factors = COLOURS[name]
    X = pictures(len(factors), 6, 5, channels=1)
    same_pixels(jax.jit(ours)(X, factors), by_torch(theirs, X, factors.tolist()))


def test_grey_values_that_are_whole_numbers():
    """The sum of bytes is cut off: where it is a whole number, the order of the roundings decides."""
    r, g, b = np.meshgrid(np.arange(0, 256, 10), np.arange(256), np.arange(256), indexing="ij")
    whole = (2989 * r + 5870 * g + 1140 * b) % 10_000 == 0
    X = np.stack([r[whole], g[whole], b[whole]], -1).astype(np.uint8)[None, None]
    assert X.shape[2] > 1500
    expected = by_torch(F.adjust_saturation, X, [0.0])
    same_pixels(jax.jit(colour.adjust_saturation)(X, np.zeros(1, np.float32)), expected)


def test_control_another_rounding_is_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(colour, "fused", lambda a, b, c: pixels.rounded(a * b) + c)
    jax.clear_caches()
    with pytest.raises(AssertionError):
        test_grey_values_that_are_whole_numbers()
    jax.clear_caches()


@pytest.mark.parametrize("dtype", DTYPES)
def test_jitter_in_every_order(dtype: str):
    orders = np.array(list(itertools.permutations(range(4))), np.int32)
    X = pictures(24, 9, 7, dtype)
    random = np.random.default_rng(1)
    names = ("brightness", "contrast", "saturation", "hue")
    factors = {name: random.uniform(0.2, 1.8, 24).astype(np.float32) for name in names[:3]}
    factors["hue"] = random.uniform(-0.5, 0.5, 24).astype(np.float32)

    def theirs(x: torch.Tensor, order: np.ndarray, *each: float) -> torch.Tensor:
        for change in order:
            x = COLOURS[names[change]][1](x, each[change])
        return x

    expected = by_torch(theirs, X, orders, *(factors[name].tolist() for name in names))
    draws = Jitter(orders, factors)
    apply = jax.jit(ColorJitter(0.8, 0.8, 0.8, 0.5).apply)
    same_pixels(apply(X, draws), expected, 2e-6 if dtype == "float32" else 0)
    with pytest.raises(AssertionError):  # another order is seen
        same_pixels(apply(X, draws._replace(order=orders[::-1])), expected, 1e-3 if dtype == "float32" else 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(20, 31), (64, 50), (3, 2)])
def test_resized_crop(dtype: str, size: tuple[int, int]):
    X = pictures(len(CROPS), 33, 47, dtype)
    expected = by_torch(lambda x, *box: F.resized_crop(x, *box, size=list(size)), X, *zip(*CROPS))
    ours = jax.jit(geometry.resized_crop, static_argnums=2)(X, crops(CROPS), size)
    same_pixels(ours, expected, DTYPES[dtype])


@st.composite
def boxes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    height = draw(st.integers(1, 19))
    width = draw(st.integers(1, 23))
    return draw(st.integers(0, 19 - height)), draw(st.integers(0, 23 - width)), height, width


SMALL_CROP = jax.jit(lambda X, crop: geometry.resized_crop(X, crop, (11, 14)))


@settings(deadline=None, max_examples=60)
@given(boxes())
def test_resized_crop_of_any_box(box: tuple[int, int, int, int]):
    X = pictures(1, 19, 23)
    expected = by_torch(lambda x: F.resized_crop(x, *box, size=[11, 14]), X)
    same_pixels(SMALL_CROP(X, crops([box])), expected)


def test_control_another_resize_is_seen():
    X = pictures(1, 19, 23)
    expected = by_torch(lambda x: F.resize(x, [11, 14]), X)
    other = jax.image.resize(X.astype(np.float32), (1, 11, 14, 3), "linear", antialias=False)
    with pytest.raises(AssertionError):
        same_pixels(jnp.round(other).astype(jnp.uint8), expected)


@pytest.mark.parametrize("to", [(9, 40), 12, 31])
@pytest.mark.parametrize("shape", [(21, 34), (34, 21)])
def test_resize(to: tuple[int, int] | int, shape: tuple[int, int]):
    X = pictures(2, *shape)
    expected = by_torch(lambda x: F.resize(x, list(to) if isinstance(to, tuple) else [to]), X)
    transform = Resize(to)
    same_pixels(jax.jit(transform.apply, static_argnums=1)(X, None), expected)
    sizes = transform.sizes(jnp.asarray([shape], jnp.int32))
    assert tuple(sizes[0].tolist()) == expected.shape[1:3]


@pytest.mark.parametrize("to", [(7, 5), (6, 6), (12, 4), (15, 14), (10, 11)])
def test_center_crop(to: tuple[int, int]):
    X = pictures(2, 10, 11)
    same_pixels(CenterCrop(to).apply(X, None), by_torch(lambda x: F.center_crop(x, list(to)), X))


def test_flips():
    X = pictures(3, 5, 4)
    flipped = np.array([True, False, True])
    for ours, theirs in (
        (geometry.horizontal_flip, F.horizontal_flip),
        (geometry.vertical_flip, F.vertical_flip),
    ):
        expected = by_torch(lambda x, flip, theirs=theirs: theirs(x) if flip else x, X, flipped)
        same_pixels(ours(X, flipped), expected)


def test_bytes_become_numbers_as_the_book_makes_them():
    """`ToTensor` divides by 255; the normalisation is the same to rounding."""
    X = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    tensor = F1.to_tensor(X[0])
    same_pixels(ToFloat().apply(X, None)[0], tensor.permute(1, 2, 0).numpy())
    expected = F.normalize(tensor, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]).permute(1, 2, 0).numpy()
    chain = Compose(ToFloat(), Normalize())
    same_pixels(jax.jit(lambda X: chain.apply(X, (None, None)))(X)[0], expected, 1e-6)


def test_what_cannot_be_changed():
    X = pictures(2, 4, 4)
    with pytest.raises(InputError, match="ToFloat\\(\\) before Normalize"):
        Normalize().apply(X, None)
    with pytest.raises(InputError, match="uint8 or floating-point"):
        pixels.numbers(X.astype(np.int32))
    with pytest.raises(InputError, match="3 is for|images have 2 channels"):
        ColorJitter(0.5).apply(X[..., :2], ColorJitter(0.5).draw(jax.random.key(0), jnp.full((2, 2), 4)))
    with pytest.raises(InputError, match="a height and a width"):
        geometry.resize(X, (0, 3))
    assert torch_picture(X[0]).shape == (3, 4, 4)
