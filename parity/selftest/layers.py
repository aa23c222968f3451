"""Flax layers with PyTorch's names and layout of tensors, as small as they can be: what bugs are planted in.

Images are (batch, height, width, channels), sequences (batch, time, features).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from d2l_jax import nn

Images = Float[Array, "batch height width channels"]
Sequence = Float[Array, "batch time features"]


def param(*shape: int) -> nnx.Param:
    """A parameter; its values come from the twin."""
    return nnx.Param(jnp.zeros(shape, jnp.float32))


class Function(nnx.Module):
    """A function as a layer of its own."""

    def __init__(self, function: Callable[[Array], Array]):
        self.function = function

    def __call__(self, x: Array) -> Array:
        return self.function(x)


class Stack(nnx.Module):
    """Named layers, one after the other."""

    def __init__(self, **layers: nnx.Module):
        self.names = tuple(layers)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def __call__(self, x: Array) -> Array:
        for name in self.names:
            x = getattr(self, name)(x)
        return x


class ConvTranspose2d(nnx.Module):
    """`torch.nn.ConvTranspose2d` with a square kernel; weight (in, out, height, width)."""

    def __init__(self, in_channels: int, out_channels: int, size: int, stride: int, padding: int, output_padding: int):
        self.weight = param(in_channels, out_channels, size, size)
        self.bias = param(out_channels)
        self.stride = stride
        self.low = size - 1 - padding
        self.high = size - 1 - padding + output_padding

    def __call__(self, x: Images) -> Images:
        pads = [(self.low, self.high)] * 2
        y = lax.conv_general_dilated(
            x, self.kernel(), (1, 1), pads, (self.stride,) * 2, dimension_numbers=("NHWC", "IOHW", "NHWC")
        )
        return y + self.bias[...]

    def kernel(self) -> Float[Array, "in out height width"]:
        return jnp.flip(self.weight[...], (2, 3))


class GroupNorm(nnx.Module):
    """`torch.nn.GroupNorm`, and with one channel to a group `InstanceNorm2d(affine=True)`."""

    def __init__(self, num_groups: int, channels: int, eps: float = 1e-5):
        self.weight = param(channels)
        self.bias = param(channels)
        self.num_groups = num_groups
        self.eps = eps
        self.ddof = 0

    def __call__(self, x: Images) -> Images:
        groups = self.split(x)
        mean = groups.mean((1, 2, 4), keepdims=True)
        var = groups.var((1, 2, 4), keepdims=True, ddof=self.ddof)
        y = self.join((groups - mean) / jnp.sqrt(var + self.eps))
        return y * self.weight[...] + self.bias[...]

    def split(self, x: Images) -> Float[Array, "batch height width groups channels"]:
        return x.reshape(*x.shape[:3], self.num_groups, -1)

    def join(self, x: Float[Array, "batch height width groups channels"]) -> Images:
        return x.reshape(*x.shape[:3], -1)


class Pool(nnx.Module):
    """`torch.nn.MaxPool2d` or `AvgPool2d`: the gradient goes to the first of equal maxima, padding is averaged in."""

    def __init__(self, kind: str, size: int, stride: int, padding: int = 0, ceil_mode: bool = False):
        self.kind = kind
        self.size = size
        self.stride = stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = True

    def __call__(self, x: Images) -> Images:
        if self.kind == "max":
            more = [self.padding + (self.stride - 1 if self.ceil_mode else 0)] * 2
            pads = ((0, 0), (self.padding, more[0]), (self.padding, more[1]), (0, 0))
            return nn.MaxPool2d(self.size, self.stride)(jnp.pad(x, pads, constant_values=-jnp.inf))
        pads = ((self.padding, self.padding),) * 2
        window = (self.size,) * 2
        strides = (self.stride,) * 2
        return nnx.avg_pool(x, window, strides, pads, count_include_pad=self.count_include_pad)  # pyright: ignore


class Embedding(nnx.Module):
    """`torch.nn.Embedding`; the row `padding_idx` receives no gradient."""

    def __init__(self, count: int, size: int, padding_idx: int | None = None):
        self.weight = param(count, size)
        self.padding_idx = padding_idx

    def __call__(self, ids: Int[Array, "batch time"]) -> Sequence:
        rows = self.weight[...][ids]
        if self.padding_idx is None:
            return rows
        return jnp.where((ids == self.padding_idx)[..., None], lax.stop_gradient(rows), rows)


class TiedLinear(nnx.Module):
    """`torch.nn.Linear` whose weight (out, in) is another layer's."""

    def __init__(self, weight: nnx.Param):
        self.weight = weight
        self.bias = param(weight.shape[0])

    def __call__(self, x: Sequence) -> Sequence:
        return x @ self.weight[...].T + self.bias[...]


class MultiheadAttention(nnx.Module):
    """`torch.nn.MultiheadAttention(batch_first=True)` of a sequence to itself; in the mask True is "ignore"."""

    def __init__(self, size: int, heads: int, rngs: nnx.Rngs):
        self.in_proj_weight = param(3 * size, size)
        self.in_proj_bias = param(3 * size)
        self.out_proj = nn.Linear(size, size, rngs=rngs)
        self.heads = heads

    def __call__(self, x: Sequence, mask: Bool[Array, "time time"] | None) -> Sequence:
        projected = x @ self.in_proj_weight[...].T + self.in_proj_bias[...]
        query, key, value = map(self.split, jnp.split(projected, 3, -1))
        scores = jnp.einsum("bhqd,bhkd->bhqk", query, key) * self.scale(query.shape[-1])
        if mask is not None:
            scores = self.masked(scores, mask)
        return self.out_proj(self.join(self.weights(scores) @ value))

    def scale(self, size: int) -> float:
        return size**-0.5

    def masked(self, scores: Array, mask: Bool[Array, "time time"]) -> Array:
        return jnp.where(mask, -jnp.inf, scores)

    def weights(self, scores: Array) -> Array:
        return jax.nn.softmax(scores, -1)

    def split(self, x: Sequence) -> Float[Array, "batch heads time size"]:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(0, 2, 1, 3)

    def join(self, x: Float[Array, "batch heads time size"]) -> Sequence:
        return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


class LSTM(nnx.Module):
    """`torch.nn.LSTM(batch_first=True)` of one layer: gates i, f, g, o and two biases."""

    GATES = 4

    def __init__(self, inputs: int, hidden: int):
        rows = self.GATES * hidden
        self.weight_ih_l0 = param(rows, inputs)
        self.weight_hh_l0 = param(rows, hidden)
        self.bias_ih_l0 = param(rows)
        self.bias_hh_l0 = param(rows)
        self.hidden = hidden

    def __call__(self, x: Sequence) -> tuple:
        def step(carry: tuple, x: Array) -> tuple:
            carry = self.step(x, *carry)
            return carry, carry[0]

        start = jnp.zeros((len(x), self.hidden), x.dtype)
        (h, c), outputs = lax.scan(step, (start, start), x.swapaxes(0, 1))
        return outputs.swapaxes(0, 1), (h[None], c[None])

    def step(self, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        i, f, g, o = self.order(jnp.split(self.of_input(x) + self.of_state(h), 4, -1))
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    def of_input(self, x: Array) -> Array:
        return x @ self.weight_ih_l0[...].T + self.bias_ih_l0[...]

    def of_state(self, h: Array) -> Array:
        return h @ self.weight_hh_l0[...].T + self.bias_hh_l0[...]

    def order(self, gates: list[Array]) -> list[Array]:
        return gates


class GRU(LSTM):
    """`torch.nn.GRU(batch_first=True)` of one layer: gates r, z, n, the reset after the product."""

    GATES = 3

    def __call__(self, x: Sequence) -> tuple:
        outputs, (h, _) = super().__call__(x)
        return outputs, h

    def step(self, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        r, z, n = self.gates(self.of_input(x))
        hr, hz, hn = self.gates(self.of_state(h))
        r = jax.nn.sigmoid(r + hr)
        z = jax.nn.sigmoid(z + hz)
        return (1 - z) * jnp.tanh(n + r * hn) + z * h, c

    def gates(self, blocks: Array) -> list[Array]:
        return self.order(jnp.split(blocks, 3, -1))
