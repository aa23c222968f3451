"""Multilayer perceptrons, from scratch and with layers (book, sections 5.2, 5.6 and 13.1; notes A3 and A4)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from d2l_jax import nn

Inputs = Float[Array, "batch *features"]
Scores = Float[Array, "batch classes"]


def normal(rngs: nnx.Rngs, sigma: float, *shape: int) -> nnx.Param:
    """A float32 parameter of this shape, drawn from N(0, sigma)."""
    return nnx.Param(sigma * jax.random.normal(rngs.params(), shape, jnp.float32))


def relu(X: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The ReLU max(X, 0), with gradient 0 at 0 (book, section 5.2)."""
    return jnp.where(X > 0, X, 0)


class MLPScratch(nnx.Module):
    """An MLP with a hidden layer, from scratch (book, section 5.2).

    Weights are drawn from N(0, sigma), with shapes (inputs, outputs).
    """

    def __init__(
        self,
        num_inputs: int = 784,
        num_outputs: int = 10,
        num_hiddens: int = 256,
        sigma: float = 0.01,
        *,
        rngs: nnx.Rngs,
    ):
        self.W1 = normal(rngs, sigma, num_inputs, num_hiddens)
        self.b1 = nnx.Param(jnp.zeros(num_hiddens, jnp.float32))
        self.W2 = normal(rngs, sigma, num_hiddens, num_outputs)
        self.b2 = nnx.Param(jnp.zeros(num_outputs, jnp.float32))

    def __call__(self, X: Inputs) -> Scores:
        H = relu(nn.flatten(X) @ self.W1[...] + self.b1[None])
        return H @ self.W2[...] + self.b2[None]


class MLP(nnx.Module):
    """An MLP with a hidden layer (book, section 5.2)."""

    def __init__(self, num_outputs: int = 10, num_hiddens: int = 256, in_features: int = 784, *, rngs: nnx.Rngs):
        self.net = nn.Sequential(
            nn.flatten,
            nn.Linear(in_features, num_hiddens, rngs=rngs),
            nnx.relu,
            nn.Linear(num_hiddens, num_outputs, rngs=rngs),
        )

    def __call__(self, X: Inputs) -> Scores:
        return self.net(X)


def dropout_layer(X: Float[Array, "*shape"], p: float, key: Array) -> Float[Array, "*shape"]:
    """Zeroes each element with probability p and divides the others by 1 - p (book, section 5.6)."""
    if p == 0:
        return X
    if p == 1:
        return jnp.zeros_like(X)
    return jnp.where(jax.random.uniform(key, X.shape) > p, X / (1 - p), 0)


class DropoutMLPScratch(nnx.Module):
    """An MLP with two hidden layers, each followed by `dropout_layer` in training (book, section 5.6)."""

    def __init__(
        self,
        num_outputs: int = 10,
        num_hiddens_1: int = 256,
        num_hiddens_2: int = 256,
        dropout_1: float = 0.5,
        dropout_2: float = 0.5,
        in_features: int = 784,
        *,
        rngs: nnx.Rngs,
    ):
        self.lin1 = nn.Linear(in_features, num_hiddens_1, rngs=rngs)
        self.lin2 = nn.Linear(num_hiddens_1, num_hiddens_2, rngs=rngs)
        self.lin3 = nn.Linear(num_hiddens_2, num_outputs, rngs=rngs)
        self.dropout_1 = dropout_1
        self.dropout_2 = dropout_2
        self.deterministic = False
        self.rngs = rngs.dropout.fork()

    def __call__(self, X: Inputs) -> Scores:
        H1 = self._drop(nnx.relu(self.lin1(nn.flatten(X))), self.dropout_1)
        H2 = self._drop(nnx.relu(self.lin2(H1)), self.dropout_2)
        return self.lin3(H2)

    def _drop(self, H: Float[Array, "batch hiddens"], p: float) -> Float[Array, "batch hiddens"]:
        return H if self.deterministic else dropout_layer(H, p, self.rngs())

    def set_view(self, deterministic: bool | None = None) -> None:
        """Sets the mode of the module; `nnx.view`, `train()` and `eval()` call it."""
        if deterministic is not None:
            self.deterministic = deterministic


class DropoutMLP(nnx.Module):
    """An MLP with two hidden layers and dropout (Srivastava et al. 2014; book, section 5.6)."""

    def __init__(
        self,
        num_outputs: int = 10,
        num_hiddens_1: int = 256,
        num_hiddens_2: int = 256,
        dropout_1: float = 0.5,
        dropout_2: float = 0.5,
        in_features: int = 784,
        *,
        rngs: nnx.Rngs,
    ):
        self.net = nn.Sequential(
            nn.flatten,
            nn.Linear(in_features, num_hiddens_1, rngs=rngs),
            nnx.relu,
            nnx.Dropout(dropout_1, rngs=rngs),
            nn.Linear(num_hiddens_1, num_hiddens_2, rngs=rngs),
            nnx.relu,
            nnx.Dropout(dropout_2, rngs=rngs),
            nn.Linear(num_hiddens_2, num_outputs, rngs=rngs),
        )

    def __call__(self, X: Inputs) -> Scores:
        return self.net(X)


class TwoHiddenMLPScratch(nnx.Module):
    """An MLP with two hidden layers, from scratch (notes A3)."""

    def __init__(
        self,
        num_inputs: int = 784,
        num_outputs: int = 10,
        num_hiddens_1: int = 256,
        num_hiddens_2: int = 128,
        sigma: float = 0.01,
        *,
        rngs: nnx.Rngs,
    ):
        self.W1 = normal(rngs, sigma, num_inputs, num_hiddens_1)
        self.b1 = nnx.Param(jnp.zeros(num_hiddens_1, jnp.float32))
        self.W2 = normal(rngs, sigma, num_hiddens_1, num_hiddens_2)
        self.b2 = nnx.Param(jnp.zeros(num_hiddens_2, jnp.float32))
        self.W3 = normal(rngs, sigma, num_hiddens_2, num_outputs)
        self.b3 = nnx.Param(jnp.zeros(num_outputs, jnp.float32))

    def __call__(self, X: Inputs) -> Scores:
        H1 = relu(nn.flatten(X) @ self.W1[...] + self.b1[None])
        H2 = relu(H1 @ self.W2[...] + self.b2[None])
        return H2 @ self.W3[...] + self.b3[None]


class TwoHiddenMLP(nnx.Module):
    """An MLP with two hidden layers (notes A4)."""

    def __init__(
        self,
        num_outputs: int = 10,
        num_hiddens_1: int = 256,
        num_hiddens_2: int = 128,
        in_features: int = 784,
        *,
        rngs: nnx.Rngs,
    ):
        self.net = nn.Sequential(
            nn.flatten,
            nn.Linear(in_features, num_hiddens_1, rngs=rngs),
            nnx.relu,
            nn.Linear(num_hiddens_1, num_hiddens_2, rngs=rngs),
            nnx.relu,
            nn.Linear(num_hiddens_2, num_outputs, rngs=rngs),
        )

    def __call__(self, X: Inputs) -> Scores:
        return self.net(X)


def compiled_mlp(
    num_inputs: int = 512,
    num_hiddens_1: int = 256,
    num_hiddens_2: int = 128,
    num_outputs: int = 2,
    *,
    rngs: nnx.Rngs,
) -> nn.Sequential:
    """Returns the MLP that is run eagerly and compiled (book, section 13.1).

    Shapes: (batch, num_inputs) -> (batch, num_outputs), float32.
    """
    return nn.Sequential(
        nn.Linear(num_inputs, num_hiddens_1, rngs=rngs),
        nnx.relu,
        nn.Linear(num_hiddens_1, num_hiddens_2, rngs=rngs),
        nnx.relu,
        nn.Linear(num_hiddens_2, num_outputs, rngs=rngs),
    )
