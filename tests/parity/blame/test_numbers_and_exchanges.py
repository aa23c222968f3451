"""Bodies that compute with another number, or use two layers in each other's place."""

import numpy as np
import pytest
import torch
from flax import linen
from jax import numpy as jnp

import parity

random = np.random.default_rng(0)
POINTS = random.normal(size=(6, 4)).astype(np.float32)
SEQUENCES = tuple(random.normal(size=(2, 5, 4)).astype(np.float32) for _ in range(2))
STEPS = 4


class Euler(linen.Module):
    """Steps along a field, with the time beside the point; `decay`: what is left of the point in each step."""

    step: float = 1 / STEPS
    decay: float = 1.0
    cubed: bool = False

    @linen.compact
    def __call__(self, x):
        field = linen.Dense(4, name="field")
        for i in range(STEPS):
            time = jnp.full((len(x), 1), i * self.step)
            moved = jnp.tanh(field(jnp.concatenate([x, time], -1)))
            x = self.decay * x + self.step * (moved**3 if self.cubed else moved)
        return linen.Dense(2, name="out")(x)


class TorchEuler(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.field = torch.nn.Linear(5, 4)
        self.out = torch.nn.Linear(4, 2)

    def forward(self, x):
        for i in range(STEPS):
            time = torch.full((len(x), 1), i / STEPS)
            x = x + torch.tanh(self.field(torch.cat([x, time], -1))) * (1 / STEPS)
        return self.out(x)


class Cross(linen.Module):
    """Attention of one sequence to another; `mistake`: what is exchanged."""

    mistake: str = ""

    @linen.compact
    def __call__(self, a, b):
        first, second = (b, a) if self.mistake == "inputs" else (a, b)
        q, k = linen.Dense(6, name="q")(first), linen.Dense(6, name="k")(second)
        v = linen.Dense(6, name="v")(b)
        q, k, v = {"results": (k, q, v), "twice": (q, q, v)}.get(self.mistake, (q, k, v))
        weights = linen.softmax(jnp.einsum("bqd,bkd->bqk", q, k) / 6**0.5)
        return linen.Dense(4, name="o")(jnp.einsum("bqk,bkd->bqd", weights, v))


class TorchCross(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (torch.nn.Linear(*sizes) for sizes in ((4, 6), (4, 6), (4, 6), (6, 4)))

    def forward(self, a, b):
        q, k, v = self.q(a), self.k(b), self.v(b)
        return self.o(torch.softmax(q @ k.transpose(1, 2) / 6**0.5, -1) @ v)


def check(ours, theirs, inputs):
    return parity.check(ours, theirs, inputs, steps=1, tiers=("float64",))


@pytest.mark.slow
@pytest.mark.parametrize("step, text", [(1 / (STEPS - 1), "1/3 = 0.333333 where PyTorch has 0.25"), (0.2, "0.2 where")])
def test_another_step_is_named(step, text):
    blame = check(Euler(step), TorchEuler(), POINTS).blame
    assert blame and (blame.layer, blame.cause) == ("", "constant"), blame
    assert "before field (call 2)" in blame.text and f"Flax computes with {text}" in blame.text


@pytest.mark.slow
@pytest.mark.parametrize("ours", [Euler(decay=0.9), Euler(1 / (STEPS - 1), cubed=True)], ids=["decay", "cubed"])
def test_control_of_another_mistake_no_number_is_named(ours):
    result = check(ours, TorchEuler(), POINTS)
    assert result.status == "fail" and result.blame and result.blame.cause != "constant", result.blame


@pytest.mark.parametrize(
    "mistake, cause, text",
    [
        ("inputs", "wiring", "before q: Flax gives q what k is given"),
        ("results", "layers-exchanged", "before o: Flax uses q in the place of k, and k in that of q"),
    ],
)
def test_exchanged_layers_are_named(mistake, cause, text):
    blame = check(Cross(mistake), TorchCross(), SEQUENCES).blame
    assert blame and (blame.layer, blame.cause) == ("", cause) and text in blame.text, blame


@pytest.mark.slow
def test_control_one_layer_used_twice_is_no_exchange():
    result = check(Cross("twice"), TorchCross(), SEQUENCES)
    assert result.status == "fail" and result.blame and result.blame.cause != "layers-exchanged", result.blame


@pytest.mark.parametrize("ours, theirs, inputs", [(Euler(), TorchEuler, POINTS), (Cross(), TorchCross, SEQUENCES)])
def test_control_right_pairs_pass(ours, theirs, inputs):
    assert check(ours, theirs(), inputs).status == "pass"


class Masked(linen.Module):
    @linen.compact
    def __call__(self, x):
        scores = linen.Dense(4, name="first")(x)
        seen = jnp.where(jnp.tri(4, k=1, dtype=bool)[None], scores[:, :, None] * scores[:, None, :], -jnp.inf)
        return linen.Dense(2, name="out")(linen.softmax(seen)[:, 0])


class TorchMasked(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.out = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)

    def forward(self, x):
        scores = self.first(x)
        mask = torch.full((4, 4), float("-inf")).triu(1) + torch.full((4, 4), float("-inf")).triu(3)
        return self.out(torch.softmax(scores[:, :, None] * scores[:, None] + mask, -1)[:, 0])


@pytest.mark.slow
def test_infinities_of_masks_are_no_numbers_to_be_fitted():
    blame = check(Masked(), TorchMasked(), POINTS).blame
    assert blame and blame.layer == "" and "before out" in blame.text, blame


class Pair(torch.nn.Module):
    """Returns two things, as a layer of a flow its points and a determinant."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Linear(4, 4)

    def forward(self, x):
        scale = torch.tanh(self.scale(x))
        return x * scale.exp(), scale.sum(1)


class TorchFlow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = Pair()

    def forward(self, x):
        y, determinant = self.layer(x)
        return (y**2).sum(1) * np.float64(0.7) + determinant


class OurPair(linen.Module):
    mean: bool = False

    @linen.compact
    def __call__(self, x):
        scale = jnp.tanh(linen.Dense(4, name="scale")(x))
        return x * jnp.exp(scale), scale.mean(1) if self.mean else scale.sum(1)


class Flow(linen.Module):
    mean: bool = False
    factor: float = 0.7

    @linen.compact
    def __call__(self, x):
        y, determinant = OurPair(self.mean, name="layer")(x)
        return (y**2).sum(1) * self.factor + determinant


@pytest.mark.slow
def test_the_second_result_of_a_module_is_explained():
    blame = check(Flow(mean=True), TorchFlow(), POINTS).blame
    assert blame and (blame.layer, blame.cause) == ("layer", "mean-for-sum"), blame


@pytest.mark.slow
def test_a_number_of_numpy_is_fitted_too():
    blame = check(Flow(factor=0.63), TorchFlow(), POINTS).blame
    assert blame and blame.cause == "constant" and "0.63 where PyTorch has 0.7" in blame.text, blame


class Soft(linen.Module):
    """A soft cap of what a layer gives."""

    cap: float

    @linen.compact
    def __call__(self, x):
        return linen.Dense(2, name="out")(jnp.tanh(linen.Dense(5, name="field")(x) / self.cap))


class TorchSoft(torch.nn.Module):
    def __init__(self, cap):
        super().__init__()
        self.field = torch.nn.Linear(4, 5)
        self.out = torch.nn.Linear(5, 2)
        self.cap = cap

    def forward(self, x):
        return self.out(torch.tanh(self.field(x) / self.cap))


@pytest.mark.parametrize("cap", [4, 4.0], ids=["a whole number", "a float"])
def test_another_divisor_is_named(cap):
    blame = check(Soft(3.0), TorchSoft(cap), POINTS).blame
    assert blame and (blame.layer, blame.cause) == ("", "constant"), blame
    assert "before out: Flax divides by 3 where PyTorch has 4 " in blame.text
