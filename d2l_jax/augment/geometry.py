"""Images flipped, cut and resized as `torchvision.transforms.v2.functional` does it (book, sections 14.1 and 14.2)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Shaped

from d2l_jax.augment.pixels import Images, is_bytes
from d2l_jax.augment.taps import Taps, taps
from d2l_jax.errors import InputError

Size = tuple[int, int]


class Crop(NamedTuple):
    """A rectangle in each image, in pixels."""

    top: Int[Array, " batch"]
    left: Int[Array, " batch"]
    height: Int[Array, " batch"]
    width: Int[Array, " batch"]


def horizontal_flip(images: Images, flipped: Bool[Array, " batch"]) -> Images:
    """Turns left and right around in the images that are to be flipped."""
    return jnp.where(flipped[:, None, None, None], images[:, :, ::-1], images)


def vertical_flip(images: Images, flipped: Bool[Array, " batch"]) -> Images:
    """Turns top and bottom around in the images that are to be flipped."""
    return jnp.where(flipped[:, None, None, None], images[:, ::-1], images)


def center_crop(images: Images, size: Size) -> Images:
    """Cuts (height, width) out of the middle; what an image lacks is black, at the right and below by a pixel more."""
    before = [max(0, (new - old) // 2) for new, old in zip(size, images.shape[1:3])]
    after = [max(0, (new - old + 1) // 2) for new, old in zip(size, images.shape[1:3])]
    images = jnp.pad(images, ((0, 0), *zip(before, after), (0, 0)))
    top, left = (round((old - new) / 2) for new, old in zip(size, images.shape[1:3]))
    return images[:, top : top + size[0], left : left + size[1]]


def resize(images: Images, size: Size | int) -> Images:
    """Resizes to (height, width), or to a length of the shorter side, bilinearly; where it shrinks, it smooths."""
    count, *old, _ = images.shape
    full = Crop(*(jnp.full(count, number, jnp.int32) for number in (0, 0, *old)))
    return resized_crop(images, full, resized_size((old[0], old[1]), size))


def resized_size(old: Size, size: Size | int) -> Size:
    """Returns the (height, width) of `resize`; of a single length, the longer side is cut down to whole pixels."""
    if not isinstance(size, int):
        return size
    height, width = old
    if width <= height:
        return int(size * height / width), size
    return size, int(size * width / height)


def resized_crop(images: Images, crop: Crop, size: Size) -> Images:
    """Cuts a rectangle out of each image and resizes it to (height, width), bilinearly and with antialiasing.

    Columns come first, then rows; bytes are rounded in between, as PyTorch rounds them.
    Raises InputError for sizes that are not positive.
    """
    if min(size) < 1:
        raise InputError(f"cannot resize images to {size}; a height and a width in pixels are right")
    columns = _chosen(images.shape[2], size[1], images, crop.width)
    rows = _chosen(images.shape[1], size[0], images, crop.height)
    # Without the bounds of a condition, XLA would compute a pixel anew for each of the next ones that read it.
    turned = jax.lax.cond((crop.width > 0).all(), _weighted, _black, images.swapaxes(1, 2), crop.left, columns)
    return jax.lax.cond((crop.height > 0).all(), _weighted, _black, turned.swapaxes(1, 2), crop.top, rows)


def _black(
    images: Shaped[Array, "batch lines pixels channels"], start: Int[Array, " batch"], chosen: Taps
) -> Shaped[Array, "batch size pixels channels"]:
    """Returns black images of the size of `_weighted`, for crops without pixels."""
    return jnp.zeros((len(images), chosen.first.shape[1], *images.shape[2:]), images.dtype)


def _chosen(longest: int, size: int, images: Images, length: Int[Array, " batch"]) -> Taps:
    """Returns the taps for the length of each image's crop, as arrays with the images first."""
    is_bytes(images)
    return jax.tree.map(lambda table: jnp.asarray(table)[length - 1], taps(longest, size, images.dtype.name))


def _weighted(
    images: Shaped[Array, "batch lines pixels channels"], start: Int[Array, " batch"], chosen: Taps
) -> Shaped[Array, "batch size pixels channels"]:
    """Returns weighted sums of the images' lines, of which the first is number `start`."""
    first, weights, bits = chosen
    dtype = jnp.int32 if is_bytes(images) else images.dtype
    lines = start[:, None] + first
    last = images.shape[1] - 1
    pick = jax.vmap(lambda image, numbers: image.at[numbers].get(mode="clip"))
    total = jnp.zeros((), dtype)
    for tap in range(weights.shape[-1]):
        share = weights[..., tap].astype(dtype)[:, :, None, None]
        total = total + share * pick(images, jnp.minimum(lines + tap, last)).astype(dtype)
    if not is_bytes(images):
        return total
    places = bits[:, None, None, None]
    half = jnp.left_shift(jnp.ones_like(places), places - 1)
    return jnp.clip(jnp.right_shift(total + half, places), 0, 255).astype(images.dtype)
