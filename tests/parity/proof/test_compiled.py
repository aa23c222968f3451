"""The compiler can be wrong, too: what `jax.jit` makes of a user's model is compared, and the compiler blamed."""

from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from d2l_jax.cpu import compile as users
from parity.proof.compiled import with_compiled
from parity.proof.proof import check_twin
from parity.sides import flax as flax_side
from parity.twin.of_pair import twin_of_pair

MATRIX = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
wrong_there = pytest.mark.skipif(version("jaxlib") != "0.10.2", reason="sums go wrong from row 32,768 on in 0.10.2")


class Flax(nnx.Module):
    """The squared length of each row behind a constant matrix, times a parameter."""

    def __init__(self):
        self.scale = nnx.Param(jnp.ones(1))

    def __call__(self, x):
        return jax.vmap(lambda row: jnp.sum((MATRIX @ row) ** 2))(x) * self.scale[...]


class Torch(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        return ((x @ torch.tensor(MATRIX, dtype=x.dtype).T) ** 2).sum(1) * self.scale


def rows(number: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(number, 3)).astype(np.float32)


def compiled(result):
    return {row.key.tensor: row for row in result.rows["float32"] if row.key.phase == "compiled"}


def test_the_outputs_as_jit_compiles_them_by_itself_have_rows():
    result = parity.check(Flax(), Torch(), rows(50), steps=1, layers=False)
    assert result.status == "pass", result.blame
    assert list(compiled(result)) == ["evaluation/output"]


@wrong_there
def test_a_program_that_xla_gets_wrong_is_blamed_on_the_compiler():
    result = parity.check(Flax(), Torch(), rows(40_000), steps=1, layers=False)
    assert result.status == "fail"
    assert [name for name, row in compiled(result).items() if not row.passed] == ["evaluation/output"]
    assert result.blame is not None and result.blame.cause == "compiler"
    assert "the compiler, not the port" in result.blame.text


@pytest.mark.slow
def test_an_own_program_that_the_compiler_gets_wrong_is_blamed_on_it(monkeypatch):
    """Plants a compiler that loses a digit in three of every output."""

    def careless(function):
        jitted = users.jit(function)
        name = getattr(function, "__name__", "")
        return lambda *args: jax.tree.map(_careless if name == "_observed" else _same, jitted(*args))

    twin = twin_of_pair(Flax(), Torch(), (rows(50),), steps=1)
    monkeypatch.setattr(flax_side, "compiled", lambda function, dtype, device: careless(function))
    result = check_twin(twin, layers=False, tiers=("float32",))
    assert result.status == "fail"
    monkeypatch.undo()
    blamed = with_compiled(result, twin)
    assert blamed.blame is not None and blamed.blame.cause == "compiler"


def _careless(x):
    return x.astype(jnp.float16).astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x


def _same(x):
    return x


@pytest.mark.slow
def test_control_a_port_that_is_less_precise_is_not_the_compilers_fault():
    class Careless(Flax):
        def __call__(self, x):
            return super().__call__(x.astype(jnp.float16) if x.dtype == jnp.float32 else x).astype(x.dtype)

    result = parity.check(Careless(), Torch(), rows(50), steps=1, layers=False)
    assert result.status == "fail"
    assert result.blame is None or result.blame.cause != "compiler"


@pytest.mark.slow
def test_control_a_formula_that_cancels_is_not_the_compilers_fault():
    """Its gap is some limits wide, and the same operation by operation."""

    class Cancelling(nnx.Module):
        def __init__(self):
            self.first = nnx.Linear(3, 4, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return -jnp.log(1 - jax.nn.sigmoid(self.first(x) + 7))

    class Stable(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(3, 4)

        def forward(self, x):
            return torch.nn.functional.softplus(self.first(x) + 7)

    result = parity.check(Cancelling(), Stable(), rows(7), steps=1, tiers=("float32",), layers=False)
    assert result.status == "fail"
    assert result.blame is None or result.blame.cause != "compiler"
