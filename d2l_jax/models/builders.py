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
    """One hidden layer as a plain chain (sections 6.1 and 6.2)."""
    return nn.Sequential(
        nn.Linear(num_inputs, num_hiddens, rngs=rngs),
        nnx.relu,
        nn.Linear(num_hiddens, num_outputs, rngs=rngs),
    )


class CustomMLP(nnx.Module):
    """One hidden layer as a module of one's own (section 6.1)."""

    def __init__(self, num_inputs: int = 20, num_hiddens: int = 256, num_outputs: int = 10, *, rngs: nnx.Rngs):
        self.hidden = nn.Linear(num_inputs, num_hiddens, rngs=rngs)
        self.out = nn.Linear(num_hiddens, num_outputs, rngs=rngs)

    def __call__(self, X: Inputs) -> Outputs:
        return self.out(nnx.relu(self.hidden(X)))


class MySequential(nnx.Module):
    """A container of one's own: its children are called "0", "1", ... (section 6.1)."""

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
    """One hidden layer in `MySequential` (section 6.1)."""
    return MySequential(
        nn.Linear(num_inputs, num_hiddens, rngs=rngs),
        nnx.relu,
        nn.Linear(num_hiddens, num_outputs, rngs=rngs),
    )


class FixedHiddenMLP(nnx.Module):
    """A constant weight, a layer used twice, and a loop that depends on the data (section 6.1)."""

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

    The loop runs on constants: `lax.while_loop` has no reverse gradient, and the count of halvings has none
    to give. Dividing by a power of two is exact, so once is the same as one half at a time.
    """
    start = lax.stop_gradient(total), jnp.ones_like(total)
    return lax.while_loop(lambda s: s[0] > 1, lambda s: (s[0] / 2, s[1] * 2), start)[1]


class NestMLP(nnx.Module):
    """A chain inside a module (section 6.1)."""

    def __init__(self, num_inputs: int = 20, *, rngs: nnx.Rngs):
        self.net = nn.Sequential(nn.Linear(num_inputs, 64, rngs=rngs), nnx.relu, nn.Linear(64, 32, rngs=rngs), nnx.relu)
        self.linear = nn.Linear(32, 16, rngs=rngs)

    def __call__(self, X: Inputs) -> Outputs:
        return self.linear(self.net(X))


def chimera(num_inputs: int = 20, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Modules of both kinds in a chain; the output is one number (section 6.1)."""
    return nn.Sequential(NestMLP(num_inputs, rngs=rngs), nn.Linear(16, 20, rngs=rngs), FixedHiddenMLP(rngs=rngs))


def tied_mlp(num_inputs: int = 4, num_hiddens: int = 8, num_outputs: int = 1, *, rngs: nnx.Rngs) -> nn.Sequential:
    """One and the same layer at 2 and 4: its two gradients add up (section 6.2)."""
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
    """Subtracts the mean of all elements (section 6.5)."""

    def __call__(self, X: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return X - X.mean()


def centered_linear(num_inputs: int = 8, num_outputs: int = 128, *, rngs: nnx.Rngs) -> nn.Sequential:
    """A dense layer and a `CenteredLayer` (section 6.5)."""
    return nn.Sequential(nn.Linear(num_inputs, num_outputs, rngs=rngs), CenteredLayer())


class MyLinear(nnx.Module):
    """A dense layer of one's own with a ReLU, everything from N(0, 1) (section 6.5).

    The book computes with detached data, so its parameters get no gradient; neither do these.
    """

    def __init__(self, in_units: int, units: int, *, rngs: nnx.Rngs):
        self.weight = nnx.Param(jax.random.normal(rngs.params(), (in_units, units), jnp.float32))
        self.bias = nnx.Param(jax.random.normal(rngs.params(), (units,), jnp.float32))

    def __call__(self, X: Inputs) -> Outputs:
        weight, bias = lax.stop_gradient((self.weight[...], self.bias[...]))
        return nnx.relu(X @ weight + bias)


def my_linear_mlp(num_inputs: int = 64, num_hiddens: int = 8, num_outputs: int = 1, *, rngs: nnx.Rngs) -> nn.Sequential:
    """Two `MyLinear` layers (section 6.5)."""
    return nn.Sequential(MyLinear(num_inputs, num_hiddens, rngs=rngs), MyLinear(num_hiddens, num_outputs, rngs=rngs))


class SavedMLP(nnx.Module):
    """The MLP that is saved and loaded (section 6.6)."""

    def __init__(self, num_inputs: int = 20, num_hiddens: int = 256, num_outputs: int = 10, *, rngs: nnx.Rngs):
        self.hidden = nn.Linear(num_inputs, num_hiddens, rngs=rngs)
        self.output = nn.Linear(num_hiddens, num_outputs, rngs=rngs)

    def __call__(self, X: Inputs) -> Outputs:
        return self.output(nnx.relu(self.hidden(X)))
