"""Each layer on its own in float32: it tells where the whole model's rounding hides all but gross errors."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.arrays.key import Key
from parity.compare.rows import row
from parity.layers.low_precision import told_by_layers
from parity.proof import proof

STEEP = 1e5  # by which a rounding error of a layer's is multiplied
RNGS = nnx.Rngs(0)


class Torch(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(7, 5)

    def forward(self, x):
        return torch.sin(STEEP * self.first(x))


class Flax(nnx.Module):
    def __init__(self, layer: nnx.Linear):
        self.first = layer

    def __call__(self, x):
        return jnp.sin(STEEP * self.first(x))


@jax.custom_vjp
def same(x):
    return x


def rounded(_, cotangent):
    return (cotangent if cotangent.dtype == jnp.float64 else cotangent.astype(jnp.bfloat16).astype(jnp.float32),)


same.defvjp(lambda x: (x, None), rounded)


class Careless(nnx.Linear):
    """A dense layer whose gradients have three digits, in float32 alone."""

    def __call__(self, inputs, out_sharding=None):
        return same(super().__call__(inputs, out_sharding))


def checked(layer: type[nnx.Linear], **options) -> parity.Result:
    inputs = np.random.default_rng(0).normal(size=(9, 7)).astype(np.float32)
    return parity.check(Flax(layer(7, 5, rngs=RNGS)), Torch(), inputs, steps=1, **options)


def of_gradients(result: parity.Result) -> list:
    return [r for r in result.rows["float32"] if r.key.phase == "gradients" and r.key.tensor.startswith("first.")]


@pytest.fixture(scope="module")
def right() -> parity.Result:
    return checked(nnx.Linear)


def test_a_layer_tells_what_the_whole_model_hides(right):
    assert right.status == "pass", right.blame
    alone = [r for r in right.rows["float32"] if r.key.layer]
    assert {r.key.phase for r in alone} == {"forward", "backward"} and not any(r.blunt for r in alone)
    assert len(of_gradients(right)) == 2 and not any(r.blunt for r in of_gradients(right))


def test_control_without_layers_on_their_own_these_rows_cannot_tell():
    result = checked(nnx.Linear, layers=False)
    assert result.status == "pass" and all(r.blunt for r in of_gradients(result))


def test_control_a_layer_of_few_digits_is_blamed_where_the_whole_model_hides_it():
    result = checked(Careless)
    assert all(r.passed for r in result.rows["float64"])
    failing = {(r.key.layer, r.key.phase) for r in result.rows["float32"] if not r.passed}
    assert failing == {("first", "backward")}
    assert result.blame is not None and result.blame.layer == "first" and result.blame.direction == "backward"
    assert result.blame.cause != "compiler"


def test_gradients_that_jit_by_itself_gets_wrong_are_blamed_on_the_compiler(monkeypatch):
    """Plants a compiler that loses digits of a layer's gradients, which are the third of its results."""

    def careless(function, device):
        def program(arguments):
            results = jax.jit(function)(arguments)
            return [(*each[:2], jax.tree.map(lambda x: x.astype(jnp.bfloat16).astype(x.dtype), each[2]), each[3])
                    for each in results]  # fmt: skip

        return program

    monkeypatch.setattr(proof, "by_itself", careless)
    result = checked(nnx.Linear)
    failing = {(r.key.layer, r.key.phase) for r in result.rows["float32"] if not r.passed}
    assert failing == {("first", "backward")}
    assert result.blame is not None and result.blame.cause == "compiler"
    assert "the compiler, not the port" in result.blame.text


def test_a_row_is_told_by_every_call_of_its_layer_or_not_at_all():
    blunt = replace(row(Key(1, "gradients", "a.weight"), 0.0, 0.1, "rounding"), blunt=True)
    calls = [row(Key(1, "backward", "weight", layer=name), 0.0, 1e-6, "") for name in ("a", "a (call 2)")]
    assert not told_by_layers([blunt, *calls])[0].blunt
    assert told_by_layers([blunt, calls[0], replace(calls[1], blunt=True)])[0].blunt
    assert told_by_layers([replace(blunt, key=Key(1, "gradients", "b.weight")), *calls])[0].blunt


class Square(nnx.Module):
    """A convolution whose result has as many places as channels."""

    def __init__(self):
        self.conv, self.out = nnx.Conv(6, 6, (3,), padding="VALID", rngs=RNGS), nnx.Linear(6, 2, rngs=RNGS)

    def __call__(self, x):
        return self.out(self.conv(x))


class TorchSquare(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.out = torch.nn.Conv1d(6, 6, 3), torch.nn.Linear(6, 2)

    def forward(self, x):
        return self.out(self.conv(x).transpose(1, 2))


def test_a_result_of_equal_sizes_has_the_layout_that_float64_told():
    inputs = np.random.default_rng(0).normal(size=(2, 8, 6)).astype(np.float32)
    assert parity.check(lambda: Square(), TorchSquare(), inputs, steps=1).status == "pass"
