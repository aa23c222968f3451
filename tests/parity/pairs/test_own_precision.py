"""Models that write a dtype out, that name none, or that hold constants: the check brings its own precision along."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import parity
from parity.models.exact import exact
from parity.models.torch_precision import torch_precision, with_attributes

WIDTH = 6


def sequence() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, 5, WIDTH)).astype("f4")


def failing(result: parity.Result) -> dict[str, int]:
    return {tier: sum(not row.passed for row in rows) for tier, rows in result.rows.items()}


def table() -> np.ndarray:
    angle = np.arange(10)[:, None] / 10000 ** (np.arange(0, WIDTH, 2) / WIDTH)
    return np.stack((np.sin(angle), np.cos(angle)), -1).reshape(10, WIDTH).astype("f4")


class TorchUpcast(torch.nn.Module):
    """Norm and softmax in float32 whatever comes in, as language models have them."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(WIDTH))
        self.out = torch.nn.Linear(WIDTH, 3)

    def forward(self, x):
        wide = x.float()
        x = (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)
        return self.out(self.scale * x).softmax(-1, dtype=torch.float32)


class Upcast(nnx.Module):
    def __init__(self, eps: float, rngs: nnx.Rngs):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones(WIDTH))
        self.out = nnx.Linear(WIDTH, 3, dtype=jnp.float32, rngs=rngs)

    def __call__(self, x):
        wide = x.astype(jnp.float32)
        x = (wide * jax.lax.rsqrt(jnp.mean(wide**2, -1, keepdims=True) + self.eps)).astype(x.dtype)
        return jax.nn.softmax(self.out(self.scale * x).astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize(("eps", "status"), [(1e-6, "pass"), (1.1e-6, "fail")])
def test_float32_that_is_written_out_means_the_precision_of_the_run(eps, status):
    result = parity.check(Upcast(eps, nnx.Rngs(0)), TorchUpcast(), sequence())
    assert result.status == status
    assert bool(failing(result)["float64"]) == (status == "fail")


class Positions(nnx.Module):
    """No dtype is named anywhere, as in most ports."""

    def __init__(self, rngs: nnx.Rngs):
        self.out = nnx.Linear(WIDTH, 3, rngs=rngs)

    def __call__(self, x):
        angle = jnp.arange(x.shape[1])[:, None] / 10000 ** (jnp.arange(0, WIDTH, 2) / WIDTH)
        table = jnp.stack((jnp.sin(angle), jnp.cos(angle)), -1).reshape(x.shape[1], WIDTH)
        start = jnp.zeros((x.shape[0], 3))
        return jax.lax.scan(lambda h, y: (jnp.tanh(h + y), h), start, self.out(x + table).swapaxes(0, 1))[0]


class TorchPositions(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.out = torch.nn.Linear(WIDTH, 3)

    def table(self, length):
        angle = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
        return torch.stack((angle.sin(), angle.cos()), -1).reshape(length, WIDTH)

    def forward(self, x):
        h = torch.zeros(x.shape[0], 3)
        for y in self.out(x + self.table(x.shape[1])).unbind(1):
            h = torch.tanh(h + y)
        return h


class TorchHeldPositions(TorchPositions):
    """The table is a buffer that was computed in float32."""

    def __init__(self, base=10000.0, persistent=True):
        super().__init__()
        angle = torch.arange(10)[:, None] * torch.exp(-torch.arange(0, WIDTH, 2) / WIDTH * np.log(base))
        held = torch.stack((angle.sin(), angle.cos()), -1).reshape(10, WIDTH)
        self.register_buffer("held", held, persistent=persistent)

    def table(self, length):
        return self.held[:length]


class TorchKeptPositions(TorchHeldPositions):
    """The table is a plain attribute."""

    def __init__(self):
        super().__init__()
        held = self.held
        del self.held
        self.held = held


class HeldPositions(Positions):
    def __init__(self, rngs: nnx.Rngs):
        super().__init__(rngs)
        self.table = jnp.asarray(table())

    def __call__(self, x):
        x = self.out(x + self.table[: x.shape[1]])
        start = jnp.zeros((x.shape[0], 3))
        return jax.lax.scan(lambda h, y: (jnp.tanh(h + y), h), start, x.swapaxes(0, 1))[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Positions, TorchPositions),
        (Positions, TorchHeldPositions),
        (HeldPositions, TorchPositions),
        (HeldPositions, TorchHeldPositions),
        (HeldPositions, TorchKeptPositions),
    ],
)
def test_tables_that_either_side_computes_or_holds_pass(ours, theirs):
    result = parity.check(ours(nnx.Rngs(0)), theirs(), sequence())
    assert result.status == "pass", failing(result)


@pytest.mark.slow
def test_another_table_fails():
    result = parity.check(HeldPositions(nnx.Rngs(0)), TorchHeldPositions(base=10001.0), sequence())
    assert failing(result)["float64"]


@pytest.mark.slow
def test_only_a_held_constant_excuses_a_gap_of_float32():
    result = parity.check(HeldPositions(nnx.Rngs(0)), TorchHeldPositions(), sequence())
    assert any("holds in float32" in row.because for row in result.rows["float64"])
    plain = parity.check(Positions(nnx.Rngs(0)), TorchPositions(), sequence())
    assert not any("holds in float32" in row.because for row in plain.rows["float64"])


class Scratch(torch.nn.Module):
    """Parameters that are plain tensors, and a list of them, with a divisor beside."""

    def __init__(self):
        super().__init__()
        self.W = torch.normal(0, 0.01, (WIDTH, 4), requires_grad=True)
        self.b = torch.zeros(4, requires_grad=True)
        self.more = [torch.normal(0, 0.01, (4, 3), requires_grad=True), torch.zeros(3, requires_grad=True)]
        self.scales = [torch.tensor(3.0)]

    def forward(self, x):
        return torch.relu(x @ self.W + self.b) @ self.more[0] / self.scales[0] + self.more[1]


class FlaxScratch(nnx.Module):
    def __init__(self, scale: float, rngs: nnx.Rngs):
        self.scale = scale
        self.W = nnx.Param(jnp.ones((WIDTH, 4)))
        self.b = nnx.Param(jnp.ones(4))
        self.last = nnx.Linear(4, 3, use_bias=False, rngs=rngs)
        self.c = nnx.Param(jnp.ones(3))

    def __call__(self, x):
        return self.last(nnx.relu(x @ self.W + self.b)) / self.scale + self.c


@pytest.mark.slow
def test_plain_tensors_that_require_a_gradient_are_parameters():
    result = parity.check(FlaxScratch(3.0, nnx.Rngs(0)), Scratch(), sequence())
    assert result.status == "pass", result.error
    assert result.params == WIDTH * 4 + 4 + 4 * 3 + 3
    assert parity.check(FlaxScratch(3.1, nnx.Rngs(0)), Scratch(), sequence()).status == "fail"


@pytest.mark.slow
def test_the_users_model_is_left_as_it_is():
    model = Scratch()
    parity.check(FlaxScratch(3.0, nnx.Rngs(0)), model, sequence(), steps=1)
    assert not list(model.parameters())
    assert len(list(with_attributes(model).parameters())) == 4


def test_a_tensor_in_two_places_is_one_parameter():
    model = torch.nn.Sequential(Scratch(), Scratch())
    model[1].b = model[0].b
    assert len(list(with_attributes(model).parameters())) == 7


def test_the_precision_of_a_block_ends_with_it():
    with torch_precision("float64"):
        assert torch.zeros(1, dtype=torch.float32).dtype == torch.float64
        assert torch.ones(1).float().dtype == torch.float64
        assert torch.tensor(np.ones(1, "f4")).dtype == torch.float64
    assert torch.zeros(1).dtype == torch.float32
    with exact():
        assert jnp.zeros(1, jnp.float32).dtype == jnp.float64
        assert jnp.linspace(0, 1, 3, dtype="float32").dtype == jnp.float64
    with jax.enable_x64(True):
        assert jnp.linspace(0, 1, 3, dtype="float32").dtype == jnp.float32


@pytest.mark.parametrize("dtype, double", [("float64", True), ("float32", False)])
def test_legacy_constructors_and_complex_dtypes_follow_the_run(dtype, double):
    third = np.float32(1 / 3)
    with torch_precision(dtype):
        made = (
            torch.sqrt(torch.FloatTensor([0.5])),
            torch.zeros(2, dtype=torch.cfloat),
            torch.ones(1).type(torch.FloatTensor),
        )
    assert [x.dtype in (torch.float64, torch.complex128) for x in made] == [double] * 3
    assert torch.FloatTensor([third]).dtype == torch.float32


class TorchRotated(torch.nn.Module):
    """Pairs of numbers are turned by a table of complex numbers, as language models hold it."""

    def __init__(self):
        super().__init__()
        self.q, self.out = torch.nn.Linear(WIDTH, WIDTH), torch.nn.Linear(WIDTH, 3)
        self.turns = torch.complex(*(torch.tensor(table()).reshape(10, -1, 2).unbind(-1)))

    def forward(self, x):
        pairs = torch.view_as_complex(self.q(x).float().reshape(*x.shape[:2], -1, 2))
        return self.out(torch.view_as_real(pairs * self.turns[: x.shape[1]]).flatten(2).type_as(x))


class Rotated(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, conjugate: bool = False):
        self.q, self.out = nnx.Linear(WIDTH, WIDTH, rngs=rngs), nnx.Linear(WIDTH, 3, rngs=rngs)
        self.conjugate = conjugate

    def __call__(self, x):
        pairs = self.q(x).reshape(*x.shape[:2], -1, 2)
        real, imaginary = np.moveaxis(table().reshape(10, -1, 2), -1, 0)
        turns = jax.lax.complex(*map(jnp.asarray, (real, -imaginary if self.conjugate else imaginary)))
        turned = jax.lax.complex(pairs[..., 0], pairs[..., 1]) * turns[None, : x.shape[1]]
        return self.out(jnp.stack((turned.real, turned.imag), -1).reshape(x.shape))


@pytest.mark.slow
@pytest.mark.parametrize(("conjugate", "status"), [(False, "pass"), (True, "fail")])
def test_complex_tables_keep_their_imaginary_part(conjugate, status):
    result = parity.check(Rotated(nnx.Rngs(0), conjugate), TorchRotated(), sequence())
    assert result.status == status, failing(result)
