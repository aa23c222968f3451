"""Bugs in convolutions and their transposes."""

# pyright: reportIncompatibleMethodOverride=false
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from parity.selftest.bug import Bug, become, setting
from parity.selftest.layers import ConvTranspose2d
from parity.selftest.pairs import CNN, CONV1D, TRANSPOSED


def with_kernel(change) -> type:
    """A convolution with a function of the kernel in the kernel's place."""

    class Changed(nnx.Conv):
        def __call__(self, x: Array) -> Array:
            kernel = self.kernel[...]
            stock = self.conv_general_dilated
            self.conv_general_dilated = lambda lhs, rhs, *args, **kwargs: stock(lhs, change(kernel), *args, **kwargs)
            try:
                return super().__call__(x)
            finally:
                self.conv_general_dilated = stock

    return Changed


class Interleaved(nnx.Conv):
    """The groups' outputs are dealt in turn."""

    def __call__(self, x: Array) -> Array:
        y = super().__call__(x)
        return y.reshape(*y.shape[:-1], self.feature_group_count, -1).swapaxes(-1, -2).reshape(y.shape)


class Unflipped(ConvTranspose2d):
    def kernel(self) -> Array:
        return self.weight[...]


class HighAndLow(ConvTranspose2d):
    """The output padding at the beginning."""

    def __call__(self, x: Array) -> Array:
        low = self.low
        high = self.high
        self.low = high
        self.high = low
        try:
            return super().__call__(x)
        finally:
            self.low = low
            self.high = high


BUGS = (
    Bug("SAME padding with stride 2", CNN, "down", ("same-padding", "uneven-padding"), setting("down", padding="SAME")),
    Bug("no padding kept by the dilated one", CNN, "wide", ("padding", "uneven-padding", "dilation"),
        setting("wide", padding=((1, 3), (1, 3)))),
    Bug("dilation left out", CNN, "wide", ("dilation", "dilation+padding"),
        setting("wide", kernel_dilation=1, padding=1)),
    Bug("kernel transposed in space", CNN, "wide", ("kernel-transposed",),
        become("wide", with_kernel(lambda k: k.swapaxes(0, 1)))),
    Bug("kernel flipped", CNN, "down", ("kernel-flipped",), become("down", with_kernel(lambda k: jnp.flip(k, (0, 1))))),
    Bug("channels in and out exchanged", CNN, "wide", ("channels-exchanged",),
        become("wide", with_kernel(lambda k: k.swapaxes(2, 3)))),
    Bug("groups interleaved", CNN, "down", ("groups-order", "group-order", "flatten-order", "permuted"),
        become("down", Interleaved)),
    Bug("1d convolution padded at the beginning", CONV1D, "conv", ("causal-padding", "uneven-padding", "padding"),
        setting("conv", padding=((2, 0),))),
    Bug("1d kernel flipped", CONV1D, "conv", ("kernel-flipped",),
        become("conv", with_kernel(lambda k: jnp.flip(k, 0)))),
    Bug("transposed convolution not flipped", TRANSPOSED, "up", ("kernel-flipped",), become("up", Unflipped)),
    Bug("output padding at the beginning", TRANSPOSED, "up", ("transposed-padding", "output-padding"),
        become("up", HighAndLow)),
)  # fmt: skip
