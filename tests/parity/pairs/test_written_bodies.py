"""Bodies as people write them: cells by hand, parameters of their own, inputs that are differentiated, blank parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx

import parity

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(3, 5, 4)).astype(np.float32)


def check(ours, theirs, inputs):
    return parity.check(ours, theirs, inputs, steps=2, tiers=("float64",))


class Cell(linen.Module):
    """A GRU of one's own, run by a scan."""

    exchanged: bool = False

    @linen.compact
    def __call__(self, x):
        weight_ih = self.param("weight_ih", linen.initializers.lecun_normal(), (4, 18))
        weight_hh = self.param("weight_hh", linen.initializers.orthogonal(), (6, 18))
        bias_ih = self.param("bias_ih", linen.initializers.zeros, (18,))
        bias_hh = self.param("bias_hh", linen.initializers.zeros, (18,))

        def step(h, x):
            of_input = jnp.split(x @ weight_ih + bias_ih[None], 3, -1)
            of_state = jnp.split(h @ weight_hh + bias_hh[None], 3, -1)
            r, z = (linen.sigmoid(a + b) for a, b in zip(of_input[:2], of_state[:2], strict=True))
            n = jnp.tanh(of_input[2] + r * of_state[2])
            return (z * n + (1 - z) * h if self.exchanged else (1 - z) * n + z * h), None

        return jax.lax.scan(step, jnp.zeros((len(x), 6)), x.swapaxes(0, 1))[0]


class Recurrent(linen.Module):
    exchanged: bool = False

    @linen.compact
    def __call__(self, x):
        return linen.Dense(2, name="out")(Cell(self.exchanged, name="gru")(x))


class TorchRecurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = torch.nn.GRUCell(4, 6)
        self.out = torch.nn.Linear(6, 2)

    def forward(self, x):
        h = x.new_zeros(len(x), 6)
        for step in x.unbind(1):
            h = self.gru(step, h)
        return self.out(h)


@pytest.mark.slow
def test_a_cell_by_hand_under_another_convention_is_named():
    result = check(Recurrent(exchanged=True), TorchRecurrent(), ROWS)
    assert result.blame and (result.blame.layer, result.blame.cause) == ("gru", "update-complement"), result.blame


def test_control_the_cell_by_hand_passes():
    assert check(Recurrent(), TorchRecurrent(), ROWS).status == "pass"


class Chain(nnx.Module):
    """The sum over all paths of a linear chain, as a conditional random field has it."""

    def __init__(self, turned=False):
        self.turned = turned
        self.emit = nnx.Linear(4, 5, rngs=nnx.Rngs(0))
        self.transitions = nnx.Param(jnp.zeros((5, 5)))

    def __call__(self, x):
        scores = self.emit(x)
        moves = self.transitions[...].T if self.turned else self.transitions[...]
        total = scores[:, 0]
        for step in range(1, x.shape[1]):
            total = jax.nn.logsumexp(total[:, :, None] + moves[None], 1) + scores[:, step]
        return total


class TorchChain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.emit = torch.nn.Linear(4, 5)
        self.transitions = torch.nn.Parameter(torch.zeros(5, 5))

    def forward(self, x):
        scores = self.emit(x)
        total = scores[:, 0]
        for step in range(1, x.shape[1]):
            total = torch.logsumexp(total[:, :, None] + self.transitions, 1) + scores[:, step]
        return total


@pytest.mark.slow
def test_a_parameter_of_the_body_that_is_used_transposed_is_named():
    result = check(Chain(turned=True), TorchChain(), ROWS)
    assert result.blame and result.blame.cause == "transposed" and "transitions" in result.blame.text, result.blame


class Residual(nnx.Module):
    """The residual of a differential equation: its model differentiates by its inputs itself."""

    def __init__(self, other=False):
        self.other = other
        self.first = nnx.Linear(4, 8, rngs=nnx.Rngs(0))
        self.second = nnx.Linear(8, 1, rngs=nnx.Rngs(0))

    def __call__(self, x):
        slope = jax.vmap(jax.grad(lambda point: self.second(jnp.tanh(self.first(point[None])))[0, 0]))(x)
        return slope[:, 0] - slope[:, 2 if self.other else 1]


class TorchResidual(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(4, 8)
        self.second = torch.nn.Linear(8, 1)

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.second(torch.tanh(self.first(x))).sum(), x, create_graph=True)
        return slope[:, 0] - slope[:, 1]


@pytest.mark.slow
@pytest.mark.parametrize("other, status", [(False, "pass"), (True, "fail")])
def test_an_input_that_is_detached_is_not_compared_and_the_result_says_so(other, status):
    result = check(Residual(other), TorchResidual(), ROWS[0])
    assert result.status == status
    assert any("no gradient reaches input" in note for note in result.notes)


class Blank(nnx.Module):
    def __init__(self, function):
        self.function = function
        self.conv = nnx.Conv(2, 4, (3, 3), padding=1, use_bias=False, rngs=nnx.Rngs(0))
        self.head = nnx.Linear(4, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.head(self.function(self.conv(x)).mean((1, 2)))


class TorchBlank(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.head = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


@pytest.mark.slow
def test_another_slope_where_an_image_is_blank_is_named():
    images = RANDOM.normal(size=(2, 9, 8, 2)).astype(np.float32)
    images[:, :, 4:] = 0
    result = check(Blank(lambda x: jnp.maximum(x, 0)), TorchBlank(), images)
    assert result.blame and result.blame.cause == "slope-at-zero" and "jnp.maximum" in result.blame.text
    assert check(Blank(nnx.relu), TorchBlank(), images).status == "pass"


class Heads(nnx.Module):
    """Heads by name."""

    def __init__(self):
        self.heads = nnx.Dict(small=nnx.Linear(4, 3, rngs=nnx.Rngs(0)), large=nnx.Linear(4, 5, rngs=nnx.Rngs(0)))

    def __call__(self, x):
        return {name: head(x) for name, head in self.heads.items()}


class TorchHeads(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = torch.nn.ModuleDict({"small": torch.nn.Linear(4, 3), "large": torch.nn.Linear(4, 5)})

    def forward(self, x):
        return {name: head(x) for name, head in self.heads.items()}


def test_a_dict_of_layers_has_its_own_entries_alone():
    result = check(Heads(), TorchHeads(), ROWS[0])
    assert result.status == "pass"
    assert {row.key.layer for row in result.rows["float64"] if row.key.layer} == {"heads.small", "heads.large"}


LEFT = np.cumprod(1 - np.linspace(1e-4, 0.3, 10)).astype(np.float32)


class Noised(nnx.Module):
    """What a table of rates leaves of an input."""

    def __init__(self):
        self.left = nnx.Variable(jnp.asarray(LEFT))
        self.linear = nnx.Linear(4, 3, rngs=nnx.Rngs(0))

    def __call__(self, x, step):
        left = self.left[...][step][:, None]
        return self.linear(jnp.sqrt(left) * x + jnp.sqrt(1 - left))


class TorchNoised(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("left", torch.as_tensor(LEFT))
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, x, step):
        left = self.left[step][:, None]
        return self.linear(left.sqrt() * x + (1 - left).sqrt())


def test_a_table_of_the_models_own_keeps_its_numbers():
    assert check(Noised(), TorchNoised(), (ROWS[0], np.array([0, 9, 3, 5, 1]))).status == "pass"


class Normed(nnx.Module):
    def __init__(self, behind):
        self.behind = behind
        self.norm = nnx.LayerNorm(4, epsilon=1e-5, rngs=nnx.Rngs(0))
        self.linear = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
        self.out = nnx.Linear(4, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        if self.behind:
            return self.out(self.norm(x + nnx.relu(self.linear(x))))
        return self.out(x + nnx.relu(self.linear(self.norm(x))))


class TorchNormed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(4)
        self.linear = torch.nn.Linear(4, 4)
        self.out = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.out(x + torch.relu(self.linear(self.norm(x))))


@pytest.mark.slow
def test_a_norm_that_stands_elsewhere_in_a_body_is_named():
    result = check(Normed(behind=True), TorchNormed(), ROWS[0])
    assert result.blame and result.blame.cause == "norm-place" and "norm stands elsewhere" in result.blame.text
