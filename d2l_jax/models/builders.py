"""The builder's guide: containers, shared layers, control flow, custom layers (book, chapter 6)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from d2l_jax import nn

Inputs = Float[Array, "batch inputs"]
Outputs = Float[Array, "batch outputs"]


def sequential_mlp(
    num_inputs: int = 20, num_hiddens: int = 256, num_outputs: int = 10, *, rngs: nnx.Rngs
) -> nn.Sequential:
    """An MLP with a hidden layer as a plain chain (book, sections 6.1 and 6.2)."""
    return nn.Sequential(
        nn.Linear(num_inputs, num_hiddens, rngs=rngs),
        nnx.relu,
        nn.Linear(num_hiddens, num_outputs, rngs=rngs),
    )


class CustomMLP(nnx.Module):
    """An MLP with a hidden layer as a custom module (book, section 6.1)."""

    def __init__(self, num_inputs: int = 20, num_hiddens: int = 256, num_outputs: int = 10, *, rngs: nnx.Rngs):
        self.hidden = nn.Linear(num_inputs, num_hiddens, rngs=rngs)
        self.out = nn.Linear(num_hiddens, num_outputs, rngs=rngs)

    def __call__(self, X: Inputs) -> Outputs:
        return self.out(nnx.relu(self.hidden(X)))


class MySequential(nnx.Module):
    """A custom container that calls its children "0", "1", ... in order (book, section 6.1)."""

    def __init__(self, *modules):
        for i, module in enumerate(modules):
            setattr(self, str(i), module)
        self.length = len(modules)

    def __call__(self, X: Inputs) -> Outputs:
        for i in range(self.length):
            X = getattr(self, str(i))(X)
        return X


def my_sequential_mlp(
    num_inputs: int = 20, num_hiddens: int = 256, num_outputs: int = 10, *, rngs: nnx.Rngs
) -> MySequential:
    """An MLP with a hidden layer in `MySequential` (book, section 6.1)."""
    return MySequential(
        nn.Linear(num_inputs, num_hiddens, rngs=rngs),
        nnx.relu,
        nn.Linear(num_hiddens, num_outputs, rngs=rngs),
    )


class FixedHiddenMLP(nnx.Module):
    """A module with a constant weight, a layer used twice, and a loop that depends on the data (book, section 6.1)."""

    def __init__(self, num_inputs: int = 20, *, rngs: nnx.Rngs):
        self.rand_weight = nn.Buffer(jax.random.uniform(rngs.params(), (num_inputs, num_inputs), jnp.float32))
        self.linear = nn.Linear(num_inputs, num_inputs, rngs=rngs)

    def __call__(self, X: Inputs) -> Float[Array, ""]:
        X = self.linear(X)
        X = nnx.relu(X @ self.rand_weight[...] + 1)
        X = self.linear(X)
        return jnp.sum(X / halvings(jnp.sum(jnp.abs(X))))


def halvings(total: Float[Array, ""]) -> Float[Array, ""]:
    """The power of two that brings `total` down to 1 or below.

    The loop runs on constants: `lax.while_loop` has no reverse gradient, and the number of halvings has gradient 0.
    Division by a power of two is exact, so dividing once equals halving step by step.
    """
    start = lax.stop_gradient(total), jnp.ones_like(total)
    return lax.while_loop(lambda s: s[0] > 1, lambda s: (s[0] / 2, s[1] * 2), start)[1]


class NestMLP(nnx.Module):
    """A module with a chain inside (book, section 6.1)."""

    def __init__(self, num_inputs: int = 20, *, rngs: nnx.Rngs):
        self.net = nn.Sequential(nn.Linear(num_inputs, 64, rngs=rngs), nnx.relu, nn.Linear(64, 32, rngs=rngs), nnx.relu)
        self.linear = nn.Linear(32, 16, rngs=rngs)

    def __call__(self, X: Inputs) -> Outputs:
        return self.linear(self.net(X))


def chimera(num_inputs: int = 20, *, rngs: nnx.Rngs) -> nn.Sequential:
    """A chain of custom and library modules whose output is a single number (book, section 6.1)."""
    return nn.Sequential(NestMLP(num_inputs, rngs=rngs), nn.Linear(16, 20, rngs=rngs), FixedHiddenMLP(rngs=rngs))


def tied_mlp(num_inputs: int = 4, num_hiddens: int = 8, num_outputs: int = 1, *, rngs: nnx.Rngs) -> nn.Sequential:
    """An MLP with the same layer at positions 2 and 4, whose two gradients add up (book, section 6.2)."""
    shared = nn.Linear(num_hiddens, num_hiddens, rngs=rngs)
    return nn.Sequential(
        nn.Linear(num_inputs, num_hiddens, rngs=rngs),
        nnx.relu,
        shared,
        nnx.relu,
        shared,
        nnx.relu,
        nn.Linear(num_hiddens, num_outputs, rngs=rngs),
    )


class CenteredLayer(nnx.Module):
    """A layer without parameters that subtracts the mean of all elements (book, section 6.5)."""

    def __call__(self, X: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return X - X.mean()


def centered_linear(num_inputs: int = 8, num_outputs: int = 128, *, rngs: nnx.Rngs) -> nn.Sequential:
    """A dense layer and a `CenteredLayer` (book, section 6.5)."""
    return nn.Sequential(nn.Linear(num_inputs, num_outputs, rngs=rngs), CenteredLayer())


class MyLinear(nnx.Module):
    """A custom dense layer with a ReLU, whose weight and bias come from N(0, 1) (book, section 6.5).

    The book computes with detached data, so the parameters get no gradient; `corrected` lets them learn.
    """

    def __init__(self, in_units: int, units: int, corrected: bool = False, *, rngs: nnx.Rngs):
        self.weight = nnx.Param(jax.random.normal(rngs.params(), (in_units, units), jnp.float32))
        self.bias = nnx.Param(jax.random.normal(rngs.params(), (units,), jnp.float32))
        self.corrected = corrected

    def __call__(self, X: Inputs) -> Outputs:
        parameters = (self.weight[...], self.bias[None])
        weight, bias = parameters if self.corrected else lax.stop_gradient(parameters)
        return nnx.relu(X @ weight + bias)


def my_linear_mlp(num_inputs: int = 64, num_hiddens: int = 8, num_outputs: int = 1, *, rngs: nnx.Rngs) -> nn.Sequential:
    """An MLP of two `MyLinear` layers (book, section 6.5)."""
    return nn.Sequential(MyLinear(num_inputs, num_hiddens, rngs=rngs), MyLinear(num_hiddens, num_outputs, rngs=rngs))


class SavedMLP(nnx.Module):
    """An MLP with a hidden layer, to be saved and loaded (book, section 6.6)."""

    def __init__(self, num_inputs: int = 20, num_hiddens: int = 256, num_outputs: int = 10, *, rngs: nnx.Rngs):
        self.hidden = nn.Linear(num_inputs, num_hiddens, rngs=rngs)
        self.output = nn.Linear(num_hiddens, num_outputs, rngs=rngs)

    def __call__(self, X: Inputs) -> Outputs:
        return self.output(nnx.relu(self.hidden(X)))
