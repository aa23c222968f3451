"""Bugs in dense layers, dropout, and what holds layers together."""

# pyright: reportIncompatibleMethodOverride=false, reportOptionalSubscript=false
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array

from d2l_jax import nn
from parity.selftest.bug import Bug, become, function, setting
from parity.selftest.layers import param
from parity.selftest.pairs import CNN, DEEP, MLP, TEXT, TWO_HEADS
from parity.selftest.pairs.dense import TwoHeads


class Transposed(nn.Linear):
    def __call__(self, x: Array) -> Array:
        return x @ self.kernel[...].T + self.bias[...]


class NoBias(nn.Linear):
    def __call__(self, x: Array) -> Array:
        return x @ self.kernel[...]


class Frozen(nn.Linear):
    """A layer that never learns: someone stopped the gradient of the weight."""

    def __call__(self, x: Array) -> Array:
        return x @ lax.stop_gradient(self.kernel[...]) + self.bias[...]


class Unscaled(nnx.Dropout):
    def __call__(self, x: Array) -> Array:
        return super().__call__(x) * (1 if self.deterministic else 1 - self.rate)


class AlwaysScaled(nnx.Dropout):
    """Dropout's factor in evaluation too."""

    def __call__(self, x: Array) -> Array:
        return x / (1 - self.rate) if self.deterministic else super().__call__(x)


class Complement(nnx.Dropout):
    """The rate is taken for the probability to keep, with Flax's own draws."""

    def __call__(self, x: Array) -> Array:
        return x if self.deterministic else super().__call__(x) * (1 - self.rate) / self.rate


class NotReset(nnx.Dropout):
    """Dropout that evaluation mode does not reach."""

    def __call__(self, x: Array) -> Array:
        return jnp.where(jnp.arange(x.size).reshape(x.shape) % 4 == 0, 0, x / (1 - self.rate)) if (
            self.deterministic
        ) else super().__call__(x)  # fmt: skip


class LeftAlone(TwoHeads):
    def __call__(self, x: Array) -> tuple:
        return super().__call__(x)[:1]  # pyright: ignore[reportReturnType]


class Squeezed(TwoHeads):
    def __call__(self, x: Array) -> tuple:
        left, right = super().__call__(x)
        return left, right[:, 0]


def untied(model: nnx.Module) -> None:
    model.out.weight = param(11, 6)  # pyright: ignore[reportAttributeAccessIssue]


BUGS = (
    Bug("square weight not transposed", MLP, "square", ("transposed",), become("square", Transposed)),
    Bug("bias left out", MLP, "out", ("bias-missing",), become("out", NoBias)),
    Bug("weight never learns", MLP, "out", ("all-zeros",), become("out", Frozen)),
    Bug("transposed in the first of twelve layers", DEEP, "layer0", ("transposed",), become("layer0", Transposed)),
    Bug("ReLU left out", MLP, "act", ("activation-missing", "layer-missing"), function("act", lambda x: x)),
    Bug("ReLU6 for ReLU", MLP.larger(8.0), "act", ("relu6",), function("act", nnx.relu6)),
    Bug("dropout without its factor", MLP, "drop", ("dropout-unscaled",), become("drop", Unscaled)),
    Bug("dropout's factor in evaluation", MLP, "drop", ("dropout-scale",), become("drop", AlwaysScaled)),
    Bug("dropout active in evaluation", MLP, "drop", ("dropout-in-evaluation", "dropout"), become("drop", NotReset)),
    Bug("dropout's rate as probability to keep", MLP, "drop", ("dropout-complement",), become("drop", Complement)),
    Bug("flatten in (H, W, C) order", CNN, "flatten", ("flatten-order",),
        function("flatten", lambda x: x.reshape(len(x), -1))),
    Bug("tied weights are two", TEXT, "", ("weight-tying",), untied),
    Bug("an output is missing", TWO_HEADS, "", ("outputs differ",), become("", LeftAlone)),
    Bug("output (n,) for (n, 1)", TWO_HEADS, "", ("shape",), become("", Squeezed)),
    Bug("layer norm's eps is Flax's 1e-6", MLP, "norm", ("eps",), setting("norm", epsilon=1e-6)),
    Bug("layer norm over the batch", MLP, "norm", ("norm-axes", "batch-norm"), setting("norm", reduction_axes=0)),
)  # fmt: skip
