"""Layers and directions of a recurrence: its parameters, and how states and outputs pass through."""

import math
from functools import partial
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from d2l_jax import init
from d2l_jax.errors import InputError
from d2l_jax.nn.recurrent.scan import scan_steps, valid_steps
from d2l_jax.nn.recurrent.steps import Weights

Inputs = Float[Array, "steps batch input_size"]
Outputs = Float[Array, "steps batch features"]
Hidden = TypeVar("Hidden")  # an array, or a pair of them


class Recurrent(nnx.Module, Generic[Hidden]):
    """The base of RNN, LSTM and GRU, as in `torch.nn`: parameters of the same names, shapes and initialisation.

    Shapes: inputs (steps, batch, input_size) -> outputs (steps, batch, directions x hidden_size) and the last state,
    (layers x directions, batch, hidden_size), for LSTM a pair (H, C) of them. The first state is 0 unless given.
    dtype: that of the weights.

    seq_lengths: (batch,), PyTorch's packed sequences: outputs after a sequence's end are 0, the last state is that of
    its last step, and the reverse direction starts there.

    Raises InputError where a size, a shape or a length does not fit; of traced lengths, only the shape is known
    (`valid_steps`).
    """

    gates = 1
    weight_hh_l0: nnx.Param

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        rngs: nnx.Rngs,
    ):
        if min(input_size, hidden_size, num_layers) < 1 or not 0 <= dropout <= 1:
            sizes = f"{input_size=}, {hidden_size=}, {num_layers=}, {dropout=}"
            raise InputError(f"{type(self).__name__}: {sizes} where sizes from 1 and a dropout from 0 to 1 are right")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        directions = ("", "_reverse") if bidirectional else ("",)
        self.suffixes = tuple(tuple(f"_l{n}{direction}" for direction in directions) for n in range(num_layers))
        for n, suffixes in enumerate(self.suffixes):
            for suffix in suffixes:
                self._add_weights(suffix, hidden_size * len(directions) if n else input_size, rngs)
        self.dropout = nnx.Dropout(dropout, rngs=rngs if dropout else None)

    def __call__(
        self, inputs: Inputs, state: Hidden | None = None, seq_lengths: Int[Array, "..."] | None = None
    ) -> tuple[Outputs, Hidden]:
        self._check(inputs)
        states = iter(self._split(self._first(inputs, state)))
        valid = None if seq_lengths is None else valid_steps(seq_lengths, *inputs.shape[:2])
        outputs = inputs.astype(self._dtype)
        last = []
        for n, suffixes in enumerate(self.suffixes):
            outputs = self.dropout(outputs) if n else outputs
            runs = [self._run(suffix, outputs, next(states), valid) for suffix in suffixes]
            outputs = jnp.concatenate([H for _, H in runs], axis=-1)
            last += [state for state, _ in runs]
        return outputs, jax.tree.map(lambda *rows: jnp.stack(rows), *last)

    def step(self, weights: Weights, x: Float[Array, "batch features"], state: Hidden) -> Hidden:
        """The state after one step of one direction of one layer: (batch, hidden_size), or a pair of them.

        Residuals are what it marks as `residual` or `copied_residual`; all else is rematerialised.
        """
        raise NotImplementedError

    def weights(self, suffix: str = "_l0") -> Weights:
        """Weights of one direction of one layer, by the end of their names, such as "_l1_reverse"."""
        matrices = [getattr(self, name + suffix)[...].T for name in ("weight_ih", "weight_hh")]
        biases = [getattr(self, name + suffix)[...] for name in ("bias_ih", "bias_hh")] if self.bias else []
        return Weights(*matrices, *biases)

    def start(self, zeros: Array) -> Hidden:
        """The first state, of zeros."""
        raise NotImplementedError

    def _add_weights(self, suffix: str, features: int, rngs: nnx.Rngs) -> None:
        rows = self.gates * self.hidden_size
        bound = 1 / math.sqrt(self.hidden_size)
        shapes = {"weight_ih": (rows, features), "weight_hh": (rows, self.hidden_size)}
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {}
        for name, shape in shapes.items():
            setattr(self, name + suffix, nnx.Param(init.uniform(-bound, bound)(rngs.params(), shape, jnp.float32)))

    def _run(self, suffix: str, inputs: Array, state: Hidden, valid: Array | None) -> tuple[Hidden, Array]:
        step = partial(self.step, self.weights(suffix))
        return scan_steps(step, inputs, state, valid, reverse=suffix.endswith("_reverse"))

    @property
    def _dtype(self) -> Any:
        return self.weight_hh_l0.dtype

    @property
    def _rows(self) -> int:
        return sum(map(len, self.suffixes))

    def _first(self, inputs: Array, state: Hidden | None) -> Hidden:
        start = self.start(jnp.zeros((self._rows, inputs.shape[1], self.hidden_size), self._dtype))
        if state is None:
            return start
        shape, right = (jax.tree.map(jnp.shape, x) for x in (state, start))
        if shape != right:
            raise InputError(f"{type(self).__name__}: a state of shape {shape} where {right} is right")
        return jax.tree.map(lambda array: array.astype(self._dtype), state)

    def _split(self, state: Hidden) -> list[Hidden]:
        return [jax.tree.map(lambda array, row=row: array[row], state) for row in range(self._rows)]

    def _check(self, inputs: Array) -> None:
        if inputs.ndim != 3 or inputs.shape[-1] != self.input_size:
            right = f"(steps, batch, {self.input_size})"
            raise InputError(f"{type(self).__name__}: inputs of shape {inputs.shape} where {right} is right")
