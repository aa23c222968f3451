"""The correct twins: one for each family of layers, all small."""

from collections import OrderedDict
from functools import partial

import jax
import jax.numpy as jnp
import torch
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from d2l_jax import losses, nn, optim
from parity.selftest import layers
from parity.selftest.bug import Pair
from parity.selftest.layers import Function, Stack

T = torch.nn
MOMENTUM = partial(optim.SGD, lr=0.1, momentum=0.9)


def named(**modules: T.Module) -> T.Sequential:
    return T.Sequential(OrderedDict(modules))


def rngs() -> nnx.Rngs:
    return nnx.Rngs(0)


def conv(inputs: int, outputs: int, size: int = 1, **options) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, rngs=rngs(), **options)


def dense(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias, rngs=rngs())


def mlp() -> Stack:
    return Stack(
        square=dense(7, 7),
        act=Function(nnx.relu),
        norm=nnx.LayerNorm(7, epsilon=1e-5, use_fast_variance=False, rngs=rngs()),
        drop=nnx.Dropout(0.2, rngs=rngs()),
        out=dense(7, 9),
    )


def torch_mlp() -> T.Module:
    return named(square=T.Linear(7, 7), act=T.ReLU(), norm=T.LayerNorm(7), drop=T.Dropout(0.2), out=T.Linear(7, 9))


def cnn() -> Stack:
    return Stack(
        conv=conv(3, 6, 3, padding=1, bias=False),
        bn=nn.BatchNorm(6),
        act=Function(nnx.relu),
        down=nnx.Conv(6, 4, (3, 3), 2, padding=1, kernel_dilation=1, feature_group_count=2, rngs=rngs()),
        wide=nnx.Conv(4, 4, (3, 3), padding=2, kernel_dilation=2, rngs=rngs()),
        flatten=Function(nn.flatten),
        out=dense(48, 5),
    )


def torch_cnn() -> T.Module:
    return named(
        conv=T.Conv2d(3, 6, 3, padding=1, bias=False),
        bn=T.BatchNorm2d(6),
        act=T.ReLU(),
        down=T.Conv2d(6, 4, 3, 2, 1, groups=2),
        wide=T.Conv2d(4, 4, 3, padding=2, dilation=2),
        flatten=T.Flatten(),
        out=T.Linear(48, 5),
    )


class Channels1d(T.Module):
    """A 1d convolution of sequences whose features are last."""

    def __init__(self):
        super().__init__()
        self.conv = T.Conv1d(4, 6, 3, padding=1)
        self.out = T.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.conv(x.transpose(1, 2)).transpose(1, 2))


def conv1d() -> Stack:
    return Stack(conv=nnx.Conv(4, 6, (3,), padding=1, rngs=rngs()), out=dense(6, 3))


def transposed() -> Stack:
    return Stack(stem=conv(3, 4), up=layers.ConvTranspose2d(4, 5, 3, 2, 1, 1), head=conv(5, 2))


def torch_transposed() -> T.Module:
    up = T.ConvTranspose2d(4, 5, 3, 2, 1, 1)
    return named(stem=T.Conv2d(3, 4, 1), up=up, head=T.Conv2d(5, 2, 1))


def norms() -> Stack:
    return Stack(
        stem=conv(3, 6), group=layers.GroupNorm(2, 6), mix=conv(6, 4), instance=layers.GroupNorm(4, 4), head=conv(4, 2)
    )


def torch_norms() -> T.Module:
    return named(
        stem=T.Conv2d(3, 6, 1),
        group=T.GroupNorm(2, 6),
        mix=T.Conv2d(6, 4, 1),
        instance=T.InstanceNorm2d(4, affine=True),
        head=T.Conv2d(4, 2, 1),
    )


def softplus(x: Array) -> Array:
    """PyTorch's: exactly linear above its threshold."""
    return jnp.where(x > 20, x, jnp.logaddexp(jnp.where(x > 20, 0, x), 0))


def activations() -> Stack:
    return Stack(
        one=dense(5, 6),
        gelu=Function(partial(nnx.gelu, approximate=False)),
        two=dense(6, 7),
        leaky=Function(partial(nnx.leaky_relu, negative_slope=0.01)),
        three=dense(7, 6),
        elu=Function(partial(nnx.elu, alpha=1.0)),
        four=dense(6, 8),
        softplus=Function(softplus),
        five=dense(8, 6),
        relu=Function(nnx.relu),
        out=dense(6, 4),
        softmax=Function(partial(nnx.softmax, axis=1)),
    )


def torch_activations() -> T.Module:
    return named(
        one=T.Linear(5, 6),
        gelu=T.GELU(),
        two=T.Linear(6, 7),
        leaky=T.LeakyReLU(0.01),
        three=T.Linear(7, 6),
        elu=T.ELU(),
        four=T.Linear(6, 8),
        softplus=T.Softplus(),
        five=T.Linear(8, 6),
        relu=T.ReLU(),
        out=T.Linear(6, 4),
        softmax=T.Softmax(1),
    )


def rounded(x: Array) -> Array:
    """Equal numbers are common: maxima have ties. The gradient passes as if nothing had been rounded."""
    return x + lax.stop_gradient(jnp.round(x) - x)


class Round(T.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + (x.round() - x).detach()


class Mean(T.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def pools() -> Stack:
    return Stack(
        stem=conv(3, 4),
        max=layers.Pool("max", 3, 1, 1),
        average=layers.Pool("average", 3, 2, 1),
        mix=conv(4, 5),
        ceil=layers.Pool("max", 2, 2, ceil_mode=True),
        mean=Function(lambda x: x.mean((1, 2))),
        head=dense(5, 2),
    )


def torch_pools() -> T.Module:
    return named(
        stem=T.Conv2d(3, 4, 1),
        max=T.MaxPool2d(3, 1, 1),
        average=T.AvgPool2d(3, 2, 1),
        mix=T.Conv2d(4, 5, 1),
        ceil=T.MaxPool2d(2, 2, ceil_mode=True),
        mean=Mean(),
        head=T.Linear(5, 2),
    )


def ties() -> Stack:
    return Stack(stem=conv(3, 4), round=Function(rounded), max=layers.Pool("max", 3, 1, 1), head=conv(4, 2))


def torch_ties() -> T.Module:
    return named(stem=T.Conv2d(3, 4, 1), round=Round(), max=T.MaxPool2d(3, 1, 1), head=T.Conv2d(4, 2, 1))


def resized(height: int, width: int, antialias: bool = False):
    def resize(x: Array) -> Array:
        return jax.image.resize(x, (x.shape[0], height, width, x.shape[3]), "bilinear", antialias=antialias)

    return resize


def resizing() -> Stack:
    return Stack(
        stem=conv(3, 4), up=Function(resized(10, 8)), mix=conv(4, 5), down=Function(resized(4, 3)), head=conv(5, 2)
    )


def torch_resizing() -> T.Module:
    return named(
        stem=T.Conv2d(3, 4, 1),
        up=T.Upsample((10, 8), mode="bilinear"),
        mix=T.Conv2d(4, 5, 1),
        down=T.Upsample((4, 3), mode="bilinear"),
        head=T.Conv2d(5, 2, 1),
    )


class Block(nnx.Module):
    """Attention to the past with a residual connection, then a norm and a classifier."""

    def __init__(self):
        self.attention = layers.MultiheadAttention(6, 2, rngs())
        self.norm = nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=rngs())
        self.out = dense(6, 7)

    def __call__(self, x: Float[Array, "batch time 6"]) -> Float[Array, "batch time 7"]:
        return self.out(self.norm(self.residual(x, self.attention(x, self.mask(x.shape[1])))))

    def mask(self, length: int) -> Array | None:
        return ~jnp.tril(jnp.ones((length, length), bool))

    def residual(self, x: Array, y: Array) -> Array:
        return x + y


class TorchBlock(T.Module):
    def __init__(self):
        super().__init__()
        self.attention = T.MultiheadAttention(6, 2, batch_first=True)
        self.norm = T.LayerNorm(6)
        self.out = T.Linear(6, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        return self.out(self.norm(x + self.attention(x, x, x, attn_mask=mask, need_weights=False)[0]))


class Recurrent(nnx.Module):
    def __init__(self):
        self.lstm = layers.LSTM(4, 6)
        self.gru = layers.GRU(6, 5)
        self.out = dense(5, 3)

    def __call__(self, x: Float[Array, "batch time 4"]) -> Float[Array, "batch time 3"]:
        return self.out(self.gru(self.lstm(x)[0])[0])


class TorchRecurrent(T.Module):
    def __init__(self):
        super().__init__()
        self.lstm = T.LSTM(4, 6, batch_first=True)
        self.gru = T.GRU(6, 5, batch_first=True)
        self.out = T.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.gru(self.lstm(x)[0])[0])


class Text(nnx.Module):
    """An embedding whose weight is the classifier's too; index 0 is padding."""

    def __init__(self):
        self.embed = layers.Embedding(11, 6, 0)
        self.hidden = dense(6, 6)
        self.out = layers.TiedLinear(self.embed.weight)

    def __call__(self, ids: Int[Array, "batch time"]) -> Float[Array, "batch time 11"]:
        return self.out(jnp.tanh(self.hidden(self.embed(ids))))


class TorchText(T.Module):
    def __init__(self):
        super().__init__()
        self.embed = T.Embedding(11, 6, padding_idx=0)
        self.hidden = T.Linear(6, 6)
        self.out = T.Linear(6, 11)
        self.out.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(torch.tanh(self.hidden(self.embed(ids))))


class Lookup(nnx.Module):
    def __init__(self):
        self.embed = layers.Embedding(11, 6, 0)
        self.out = dense(6, 4)

    def __call__(self, ids: Int[Array, "batch time"]) -> Float[Array, "batch 4"]:
        return self.out(self.embed(ids).mean(1))


class TorchLookup(T.Module):
    def __init__(self):
        super().__init__()
        self.embed = T.Embedding(11, 6, padding_idx=0)
        self.out = T.Linear(6, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.embed(ids).mean(1))


class TwoHeads(nnx.Module):
    def __init__(self):
        self.body = dense(5, 6)
        self.left = dense(6, 3)
        self.right = dense(6, 1)

    def __call__(self, x: Float[Array, "batch 5"]) -> tuple:
        x = nnx.relu(self.body(x))
        return self.left(x), self.right(x)


class TorchTwoHeads(T.Module):
    def __init__(self):
        super().__init__()
        self.body = T.Linear(5, 6)
        self.left = T.Linear(6, 3)
        self.right = T.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> tuple:
        x = torch.relu(self.body(x))
        return self.left(x), self.right(x)


DEPTH = 12


def deep() -> Stack:
    layers = {f"layer{i}": dense(6, 6) for i in range(DEPTH)}
    return Stack(**{name: part for n in layers for name, part in ((n, layers[n]), (f"{n}_act", Function(jnp.tanh)))})


def torch_deep() -> T.Module:
    parts = ((f"layer{i}", T.Linear(6, 6), f"layer{i}_act", T.Tanh()) for i in range(DEPTH))
    return named(**{name: part for a, b, c, d in parts for name, part in ((a, b), (c, d))})


def small(outputs: int = 4) -> Stack:
    return Stack(hidden=dense(5, 7), act=Function(jnp.tanh), out=dense(7, outputs))


def torch_small(outputs: int = 4) -> T.Module:
    return named(hidden=T.Linear(5, 7), act=T.Tanh(), out=T.Linear(7, outputs))


MLP = Pair("mlp", mlp, torch_mlp, (6, 7), labels=True, loss=losses.cross_entropy, optimizer=MOMENTUM)
CNN = Pair("cnn", cnn, torch_cnn, (3, 8, 5, 3), labels=True, loss=losses.cross_entropy, optimizer=MOMENTUM)
CONV1D = Pair("conv1d", conv1d, Channels1d, (2, 7, 4))
TRANSPOSED = Pair("transposed", transposed, torch_transposed, (2, 5, 4, 3))
NORMS = Pair("norms", norms, torch_norms, (3, 5, 4, 3))
ACTIVATIONS = Pair("activations", activations, torch_activations, (9, 5), scale=6.0)
POOLS = Pair("pools", pools, torch_pools, (2, 9, 11, 3))
TIES = Pair("ties", ties, torch_ties, (2, 5, 6, 3))
RESIZING = Pair("resizing", resizing, torch_resizing, (2, 6, 5, 3))
ATTENTION = Pair("attention", Block, TorchBlock, (2, 5, 6), labels=True, loss=losses.cross_entropy)
RECURRENT = Pair("recurrent", Recurrent, TorchRecurrent, (3, 4, 4), optimizer=MOMENTUM)
TEXT = Pair("text", Text, TorchText, (3, 5), integers=11, labels=True, loss=losses.cross_entropy)
LOOKUP = Pair("lookup", Lookup, TorchLookup, (4, 5), integers=11, labels=True, loss=losses.cross_entropy)
TWO_HEADS = Pair("two heads", TwoHeads, TorchTwoHeads, (6, 5))
DEEP = Pair("deep", deep, torch_deep, (13, 6))
SMALL = Pair("small", small, torch_small, (6, 5))
COLUMN = Pair("column", partial(small, 1), partial(torch_small, 1), (6, 5))
PAIRS = (
    *(MLP, CNN, CONV1D, TRANSPOSED, NORMS, ACTIVATIONS, POOLS, TIES, RESIZING, ATTENTION, RECURRENT, TEXT, LOOKUP),
    *(TWO_HEADS, DEEP, SMALL, COLUMN),
)  # fmt: skip
