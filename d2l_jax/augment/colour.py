"""Colours of images changed as `torchvision.transforms.v2.functional` changes them (book, section 14.1)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from d2l_jax.augment.pixels import Floats, Images, each, fused, is_bytes, like, numbers, rounded

Factors = Float[Array, " batch"]
Gray = Float[Array, "batch height width 1"]

BLENDS = ("brightness", "contrast", "saturation")
HUE = 3  # the place of hue among the four changes


def adjust_brightness(images: Images, factor: Factors) -> Images:
    """Multiplies the pixels of each image by its factor, 0 or more; 1 changes nothing."""
    values = numbers(images)
    return like(values * each(factor, values), images)


def adjust_contrast(images: Images, factor: Factors) -> Images:
    """Blends each image with the mean of its grey values; factor 0 leaves that alone, 1 the image."""
    return blend(images, _mean(gray(images), images), factor)


def adjust_saturation(images: Images, factor: Factors) -> Images:
    """Blends each image with its grey values; factor 0 leaves these alone, 1 the image. One channel stays as it is."""
    return images if images.shape[-1] == 1 else blend(images, gray(images), factor)


def adjust_hue(images: Images, factor: Factors) -> Images:
    """Turns the hue of each image by its factor, from -1/2 to 1/2 of the circle. One channel stays as it is."""
    if images.shape[-1] == 1:
        return images
    whole = is_bytes(images)
    values = numbers(images).astype(jnp.float32)
    values = values * jnp.float32(1 / 255) if whole else values
    hue, saturation, value = _hsv(values)
    hue = hue + each(factor, hue)[..., 0]
    turned = _rgb(hue - jnp.floor(hue), saturation, value)
    # PyTorch's conversion to bytes: 255 and almost one more, cut off.
    return (turned * jnp.float32(255.999)).astype(jnp.uint8) if whole else turned.astype(images.dtype)


def blend(images: Images, others: Float[Array, "batch _ _ 1"], factor: Factors) -> Images:
    """Returns factor * images + (1 - factor) * others, in the range and type of the images."""
    values = numbers(images)
    share = each(factor, values)
    if is_bytes(images):
        return like(fused(others, 1 - share, rounded(values * share)), images)
    return like(values * share + others * (1 - share), images)


def gray(images: Images) -> Gray:
    """Returns the brightness of each pixel: 0.2989 of red, 0.587 of green, 0.114 of blue; of bytes, whole numbers."""
    values = numbers(images)
    if values.shape[-1] == 1:
        return values
    red, green, blue = jnp.split(values, 3, axis=-1)
    if is_bytes(images):
        total = fused(green, jnp.float32(0.587), rounded(red * 0.2989))
        return jnp.floor(fused(blue, jnp.float32(0.114), total))
    return red * 0.2989 + green * 0.587 + blue * 0.114


def jitter(images: Images, order: Int[Array, "batch 4"], factors: dict[str, Factors]) -> Images:
    """Applies the four changes to each image in its own order.

    order:   of each image a permutation of 0 to 3: brightness, contrast, saturation, hue
    factors: of the changes that are made, by these names
    """

    def one(images: Images, change: Int[Array, " batch"]) -> tuple[Images, None]:
        images = _blended(images, change, factors)
        if "hue" in factors and images.shape[-1] == 3:
            images = jax.lax.cond((change == HUE).any(), turned, lambda images, change: images, images, change)
        return images, None

    def turned(images: Images, change: Int[Array, " batch"]) -> Images:
        return jnp.where((change == HUE)[:, None, None, None], adjust_hue(images, factors["hue"]), images)

    # Without the bounds of a scan and a condition, XLA would compute a change anew for every pixel that is read of it.
    return jax.lax.scan(one, images, order.T)[0]


def _blended(images: Images, change: Int[Array, " batch"], factors: dict[str, Factors]) -> Images:
    """Makes of each image the one of the first three changes that is its turn; any other leaves it as it is.

    All three are blends, with black, with the mean grey value or with the grey values.
    """
    blends = {number: factors[name] for number, name in enumerate(BLENDS) if name in factors}
    if not blends:
        return images
    grays = gray(images)
    black = jnp.zeros_like(grays)
    others = {0: black, 1: jnp.broadcast_to(_mean(grays, images), grays.shape), 2: grays}
    other = black
    factor = jnp.ones(len(images), black.dtype)
    for number, each_factor in blends.items():
        its_turn = change == number
        if number == 2 and images.shape[-1] == 1:
            continue
        other = jnp.where(its_turn[:, None, None, None], others[number], other)
        factor = jnp.where(its_turn, jnp.asarray(each_factor, factor.dtype), factor)
    return blend(images, other, factor)


def _mean(grays: Gray, images: Images) -> Float[Array, "batch 1 1 1"]:
    """Returns the mean of each image; of bytes, from the exact sum."""
    if not is_bytes(images):
        return grays.mean((1, 2, 3), keepdims=True)
    total = grays.astype(jnp.int32).sum((1, 2, 3), keepdims=True, dtype=jnp.int32)
    return total.astype(grays.dtype) / (grays.shape[1] * grays.shape[2])


def _hsv(values: Floats) -> tuple[Float[Array, "batch height width"], ...]:
    """Returns (hue, saturation, value) of colours, each in [0, 1]; grey has hue and saturation 0."""
    red, green, blue = (values[..., channel] for channel in range(3))
    most = jnp.maximum(jnp.maximum(red, green), blue)
    spread = most - jnp.minimum(jnp.minimum(red, green), blue)
    grey = spread == 0
    divisor = jnp.where(grey, 1, spread)
    rest = [(most - channel) / divisor for channel in (red, green, blue)]
    sextant = jnp.where(
        most == red,
        rest[2] - rest[1],
        jnp.where(most == green, rest[0] + 2 - rest[2], rest[1] + 4 - rest[0]),
    )
    hue = rounded(sextant * (1 / 6)) + 1
    return hue - jnp.floor(hue), spread / jnp.where(grey, 1, most), most


def _rgb(
    hue: Float[Array, "batch height width"],
    saturation: Float[Array, "batch height width"],
    value: Float[Array, "batch height width"],
) -> Floats:
    """Returns the colours of a hue in [0, 1], a saturation and a value."""
    sixths = rounded(hue * 6)
    sextant = jnp.floor(sixths)
    part = rounded(saturation * (sixths - sextant))
    least, falling, rising = (
        jnp.clip(share * value, 0.0, 1.0) for share in (1 - saturation, 1 - part, part + (1 - saturation))
    )
    sextant = jnp.where(sextant >= 6, sextant - 6, sextant)

    def channel(*choices: Array) -> Array:
        picked = choices[0]
        for number, choice in enumerate(choices):
            picked = jnp.where(sextant == number, choice, picked)
        return picked

    red = channel(value, falling, least, least, rising, value)
    green = channel(rising, value, value, falling, least, least)
    blue = channel(least, least, rising, value, value, falling)
    return jnp.stack([red, green, blue], -1)
