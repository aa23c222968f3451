"""Values of pixels: bytes 0..255 or floating-point numbers 0..1, and sums that round as PyTorch's do."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from d2l_jax.errors import InputError

Images = Shaped[Array, "batch height width channels"]  # uint8, or floating-point numbers
Floats = Float[Array, "batch height width channels"]
HUGE = 3e38
LEADING = 0xFFFFF000  # the upper half of a float32's 24 digits


def is_bytes(images: Images) -> bool:
    """Tells whether the pixels are bytes; InputError where they are neither bytes nor floating-point numbers."""
    if images.dtype == jnp.uint8:
        return True
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise InputError(f"images are {images.dtype}; uint8 or floating-point numbers are right")
    return False


def numbers(images: Images) -> Floats:
    """Returns the values as floating-point numbers: bytes as 0..255 in float32, others as they are."""
    return images.astype(jnp.float32) if is_bytes(images) else images


def like(values: Floats, images: Images) -> Images:
    """Returns values cut to the range of `images`, in their type; fractions of bytes are cut off."""
    bound = 255.0 if is_bytes(images) else 1.0
    return jnp.clip(values, 0.0, bound).astype(images.dtype)


def each(factor: Shaped[Array, " batch"], images: Floats) -> Float[Array, "batch 1 1 1"]:
    """Returns one number for each image, ready to be multiplied with all its pixels."""
    return jnp.asarray(factor, images.dtype)[:, None, None, None]


def rounded(product: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns a product as a number of its type.

    A compiler may leave out the rounding of a product that is added to something. It cannot look through this minimum,
    which changes no number that a pixel can have.
    """
    return jnp.minimum(product, HUGE)


def fused(a: Float[Array, "..."], b: Float[Array, "..."], c: Float[Array, "..."]) -> Float[Array, "..."]:
    """Returns a * b + c in float32, rounded once, as PyTorch's processors do it in one instruction.

    What XLA makes of such a sum depends on the program around it. Products of halves are exact, whoever rounds them.
    """
    (a_high, a_low), (b_high, b_low) = map(_halves, (a, b))
    product = a_high * b_high
    rest = a_high * b_low + a_low * b_high + a_low * b_low
    total = product + c
    of_product = total - c
    lost = (c - (total - of_product)) + (product - of_product)
    return total + (lost + rest)


def _halves(x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32) & jnp.uint32(LEADING)
    high = jax.lax.bitcast_convert_type(bits, jnp.float32)
    return high, x - high
