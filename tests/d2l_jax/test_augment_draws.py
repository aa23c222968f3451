"""Draws of augmentation: torchvision's rule for the same numbers, its ranges, one draw for each image."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from pictures import pictures, same_pixels
from torchvision.transforms import v2

from d2l_jax.augment import (
    ColorJitter,
    Compose,
    CropNumbers,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
    ToFloat,
    Transform,
)
from d2l_jax.errors import InputError

KEY = jax.random.key(0)
RULES = [
    ((37, 52), {}),
    ((37, 52), {"scale": (0.1, 1.0), "ratio": (0.5, 2.0)}),
    ((40, 40), {"scale": (0.64, 1.0), "ratio": (1.0, 1.0)}),
    ((200, 5), {"scale": (0.9, 1.0)}),  # no try fits: as high as the ratio allows
    ((5, 200), {"scale": (0.9, 1.0)}),
    ((30, 31), {"scale": (1.5, 2.0)}),  # no try fits: all of it
]


def sizes(size: tuple[int, int], count: int) -> jax.Array:
    return jnp.asarray(np.full((count, 2), size, np.int32))


def numbers_of(seed: int, theirs: v2.RandomResizedCrop, size: tuple[int, int]) -> CropNumbers:
    """The numbers that PyTorch draws from a seed: those of ten tries, and the two behind the first that fits.

    NumPy's old generator is the same one. Of 32 bits, a uniform number is made of 24.
    """
    bits = np.frombuffer(np.random.RandomState(seed).bytes(88), "<u4")
    uniform = (bits[:20] % 2**24 / 2**24).astype(np.float32)
    torch.manual_seed(seed)
    assert uniform[0] == torch.rand(1).item()
    logs = theirs._log_ratio.numpy()
    low, high = np.float32(theirs.scale)
    used = 10
    for number, (area, ratio) in enumerate(uniform.reshape(10, 2), 1):
        area = math.prod(size) * float(area * (high - low) + low)
        aspect = float(torch.exp(torch.tensor(ratio * (logs[1] - logs[0]) + logs[0])))
        width = round(math.sqrt(area * aspect))
        height = round(math.sqrt(area / aspect))
        if 0 < width <= size[1] and 0 < height <= size[0]:
            used = number
            break
    return CropNumbers(uniform[::2], uniform[1::2], bits[2 * used : 2 * used + 2])


@pytest.mark.parametrize("size, options", RULES)
def test_the_rule_of_ten_tries(size: tuple[int, int], options: dict):
    theirs = v2.RandomResizedCrop((8, 8), **options)
    expected = []
    drawn = []
    for seed in range(30):
        torch.manual_seed(seed)
        params = theirs.make_params([torch.zeros(3, *size)])
        expected.append([params[name] for name in ("top", "left", "height", "width")])
        drawn.append(numbers_of(seed, theirs, size))
    numbers = CropNumbers(*(jnp.asarray(np.stack(each)) for each in zip(*drawn)))
    crop = jax.jit(RandomResizedCrop((8, 8), **options).crop)(numbers, sizes(size, 30))
    np.testing.assert_array_equal(np.stack(crop, 1), expected)
    with pytest.raises(AssertionError):  # other numbers give other rectangles, unless there is one alone
        other = jax.jit(RandomResizedCrop((8, 8), scale=(0.01, 0.02)).crop)(numbers, sizes(size, 30))
        np.testing.assert_array_equal(np.stack(other, 1), expected)


def test_rectangles_lie_within_their_images():
    several = jnp.asarray(np.random.default_rng(0).integers(1, 60, (500, 2)), jnp.int32)
    crop = jax.jit(RandomResizedCrop((4, 4)).draw)(KEY, several)
    for start, length, whole in ((crop.top, crop.height, several[:, 0]), (crop.left, crop.width, several[:, 1])):
        assert (start >= 0).all() and (length >= 1).all() and (start + length <= whole).all()


def test_each_image_has_draws_of_its_own():
    draws = jax.jit(ColorJitter(0.4, 0.3, 0.2, 0.1).draw)(KEY, sizes((4, 4), 400))
    assert len({tuple(order) for order in np.asarray(draws.order).tolist()}) == 24
    assert (np.sort(draws.order, 1) == np.arange(4)).all()
    limits = {"brightness": (0.6, 1.4), "contrast": (0.7, 1.3), "saturation": (0.8, 1.2), "hue": (-0.1, 0.1)}
    for name, (low, high) in limits.items():
        factor = np.asarray(draws.factors[name])
        assert len(set(factor.tolist())) > 390
        assert low - 1e-6 <= factor.min() < low + 0.02 and high - 0.02 < factor.max() <= high + 1e-6
    assert abs(RandomHorizontalFlip().draw(KEY, sizes((4, 4), 4000)).mean() - 0.5) < 0.05


def test_factors_are_not_below_0_and_a_strength_of_0_changes_nothing():
    ranges = ColorJitter(brightness=2.5, hue=0.5).ranges()
    assert ranges == {"brightness": (0.0, 3.5), "hue": (-0.5, 0.5)}
    X = pictures(3, 4, 5)
    same_pixels(jax.jit(ColorJitter())(KEY, X), X)


@pytest.mark.parametrize("flip", [RandomHorizontalFlip, RandomVerticalFlip])
def test_flips_never_and_always(flip: type[Transform]):
    X = pictures(3, 4, 5)
    axis = 2 if flip is RandomHorizontalFlip else 1
    same_pixels(flip(0.0)(KEY, X), X)  # type: ignore[call-arg]
    same_pixels(flip(1.0)(KEY, X), np.flip(X, axis))  # type: ignore[call-arg]


@pytest.mark.slow
def test_a_composition_is_its_parts():
    colours = ColorJitter(0.4, 0.4, 0.4)
    chain = Compose(Resize(12), RandomResizedCrop((8, 9)), RandomHorizontalFlip(), colours, ToFloat())
    X = pictures(4, 10, 14)
    draws = jax.jit(chain.draw)(KEY, sizes((10, 14), 4))
    expected = X
    for part, its_draws in zip(chain.transforms, draws, strict=True):
        expected = jax.jit(part.apply)(expected, its_draws)
    assert expected.shape == (4, 8, 9, 3) and expected.dtype == np.float32
    whole = jax.jit(chain)
    same_pixels(whole(KEY, X), np.asarray(expected), 1e-6)
    assert np.abs(whole(jax.random.key(1), X) - expected).max() > 0.1
    assert chain.sizes(sizes((10, 14), 4)).tolist() == [[8, 9]] * 4
    assert (np.asarray(draws[1].width) > 10).any()  # drawn in the resized images


@pytest.mark.slow
def test_images_of_several_sizes():
    """An image with a margin is cut as without it, whatever the margin holds."""
    X = pictures(1, 20, 30)
    several = jnp.asarray([[20, 11], [7, 30]], jnp.int32)
    chain = Compose(RandomResizedCrop((6, 6)), RandomHorizontalFlip())
    together = jax.jit(chain)(KEY, np.repeat(X, 2, 0), several)
    draws = jax.jit(chain.draw)(KEY, several)
    for number, (height, width) in enumerate(several.tolist()):
        its_draws = jax.tree.map(lambda a, n=number: a[n : n + 1], draws)
        alone = jax.jit(chain.apply)(X[:, :height, :width], its_draws)
        same_pixels(together[number], np.asarray(alone)[0])
    with pytest.raises(InputError, match="a RandomResizedCrop before it"):
        Compose(RandomHorizontalFlip(), RandomResizedCrop((6, 6)))(KEY, np.repeat(X, 2, 0), several)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: RandomHorizontalFlip(1.5), "a probability p from 0 to 1"),
        (lambda: RandomResizedCrop((0, 4)), "a height and a width"),
        (lambda: RandomResizedCrop((4, 4), scale=(0.5, 0.2)), "a scale"),
        (lambda: RandomResizedCrop((4, 4), ratio=(0.0, 1.0)), "a ratio"),
        (lambda: ColorJitter(hue=0.6), "a hue of at most 1/2"),
        (lambda: ColorJitter(-0.1), "a strength of 0 or more"),
        (lambda: Compose(), "at least one"),
    ],
)
def test_numbers_that_torchvision_refuses(make, words: str):
    with pytest.raises(InputError, match=words):
        make()
