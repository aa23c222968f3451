"""Negative controls: a planted bug in every phase of the check must fail, and at the right name."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from failing import failing, failing_after_all
from flax import nnx
from sampled import sampled
from small_pair import INPUTS, TRAINING, SmallTorch, small
from small_twin import small_twin

import parity
from d2l_jax import losses, nn, optim
from d2l_jax.case import supervised
from d2l_jax.cpu import conv_general_dilated
from parity.proof.proof import check_twin
from parity.selftest.bugs.norms import BiasedVariance, NoGradient, Uncounted
from parity.twin.pairing import pair
from parity.twin.torch_side import torch_side


def check(model, **changes):
    return parity.check(model, SmallTorch(), INPUTS, **(TRAINING | {"tiers": ("float64",), "steps": 2} | changes))


def failures(result):
    return [str(row.key) for row in result.rows["float64"] if not row.passed]


@pytest.mark.slow
def test_the_correct_pair_passes():
    result = check(small(), tiers=("float64", "float32"), steps=5)
    assert result.status == "pass", [row for rows in result.rows.values() for row in rows if not row.passed]
    phases = {row.phase for row in result.rows["float64"]}
    assert {"evaluation", "forward", "gradients", "buffers", "update", "optimizer"} <= phases
    assert {"step 5 update", "after 5 steps", "layer forward", "layer backward", "layer buffers"} <= phases


class TransposedLinear(nn.Linear):
    def __call__(self, x):
        return x @ self.kernel[...].T + self.bias[...]


class NoBias(nn.Linear):
    def __call__(self, x):
        return x @ self.kernel[...]


class KeepsScale(nnx.Dropout):
    def __call__(self, x):
        return super().__call__(x) * (1 if self.deterministic else 1 - self.rate)


def plant(layer, cls=None, **attributes):
    """A model whose `layer` is of another class or has other settings."""
    model = small()
    part = getattr(model, layer) if layer else model
    if cls is not None:
        part.__class__ = cls
    for name, value in attributes.items():
        setattr(part, name, value)
    return model


BUGS = {
    "transposed square weight": (lambda: plant("square", TransposedLinear), "evaluation/output"),
    "missing bias": (lambda: plant("out", NoBias), "evaluation/output"),
    "missing bias gets no gradient": (lambda: plant("out", NoBias), "gradients/out.bias"),
    "channel order at the flatten": (lambda: plant("", flatten=lambda x: x.reshape(len(x), -1)), "evaluation/output"),
    "asymmetric padding": (lambda: plant("down", padding="SAME", conv_general_dilated=jax.lax.conv_general_dilated,
                                 strides=(2, 2), kernel_size=(3, 3)), "evaluation/output"),
    "eps of batch norm": (lambda: plant("bn", eps=1e-6), "evaluation/output"),
    "eps of layer norm": (lambda: plant("norm", epsilon=1e-6), "forward/output"),
    "momentum turned round": (lambda: plant("bn", momentum=0.9), "buffers/bn.running_mean"),
    "biased running variance": (lambda: plant("bn", BiasedVariance), "buffers/bn.running_var"),
    "batches not counted": (lambda: plant("bn", Uncounted), "buffers/bn.num_batches_tracked"),
    "no gradient through the statistics": (lambda: plant("bn", NoGradient), "gradients/conv.weight"),
    "dropout without its scale": (lambda: plant("drop", KeepsScale), "forward/output"),
    "approximate activation": (lambda: plant("", activation=lambda x: nnx.softplus(1e3 * x) / 1e3), "forward/output"),
    "gradient at the input only": (lambda: plant("conv", conv_general_dilated=lambda x, *a, **k: conv_general_dilated(
        x + 1e-9 * (x - jax.lax.stop_gradient(x)), *a, **k)), "gradients/input"),
}  # fmt: skip


@pytest.mark.parametrize("bug", sampled(BUGS))
def test_a_planted_bug_fails_at_its_name(bug):
    model, name = BUGS[bug]
    assert name in failing(small_twin(model(), steps=1))


@pytest.mark.slow
def test_biased_variance_shows_in_the_buffers_alone():
    phases = {name.partition("/")[0] for name in failures(check(plant("bn", BiasedVariance)))}
    assert {phase.split()[-1] for phase in phases} == {"buffers", "steps"}


def half_as_many(logits, y):
    return losses.cross_entropy(logits, y) * len(y) / (len(y) - 1)


@pytest.mark.slow
def test_a_loss_divided_by_the_wrong_count(monkeypatch):
    monkeypatch.setattr("parity.reference.losses.half_as_many", parity.reference.losses.cross_entropy, raising=False)
    assert "forward/loss" in failures(check(small(), loss=half_as_many, steps=1))


def sgd(*transformations):
    return lambda **_: optax.chain(*transformations)


OPTIMIZERS = {
    "momentum forgotten": ("SGD", sgd(optax.sgd(0.1)), "optimizer/momentum_buffer:conv.weight"),
    "momentum with dampening": (
        "SGD",
        sgd(optax.ema(0.9, debias=False), optax.scale(-0.1)),
        "update/conv.weight",
    ),
    "momentum of 0.99": ("SGD", sgd(optax.sgd(0.1, 0.99)), "step 2 optimizer/momentum_buffer:conv.weight"),
    "nesterov": ("SGD", sgd(optax.sgd(0.1, 0.9, nesterov=True)), "update/conv.weight"),
    "weight decay before the moments": (
        "AdamW",
        sgd(optax.add_decayed_weights(1e-2), optax.adam(1e-3)),
        "optimizer/exp_avg:conv.weight",
    ),
    "weight decay of Optax": ("AdamW", sgd(optax.adamw(1e-3)), "step 2 update/conv.weight"),
    "no bias correction": ("Adam", sgd(optax.scale_by_rms(0.999), optax.scale(-1e-3)), "update/conv.weight"),
}
RIGHT = {
    "SGD": partial(optim.SGD, lr=0.1, momentum=0.9),
    "Adam": partial(optim.Adam, lr=1e-3),
    "AdamW": partial(optim.AdamW, lr=1e-3),
}


def twin_with(optimizer):
    case = supervised("small", "", "", type(small()), INPUTS.shape, loss=TRAINING["loss"], optimizer=optimizer)
    theirs = replace(torch_side(replace(case, model=None), checked=True), model=SmallTorch())
    return pair(case, small(), theirs, [{"input": INPUTS}] * 2, np.random.default_rng(0))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Adam", "AdamW"])  # that of the correct pair is SGD
def test_the_right_optimizer_passes(name):
    assert check_twin(twin_with(RIGHT[name]), layers=False).status == "pass"


@pytest.mark.parametrize("bug", sampled(OPTIMIZERS))
def test_a_wrong_optimizer_fails_at_its_name(bug):
    right, wrong, name = OPTIMIZERS[bug]
    assert name in failing(twin_with(RIGHT[right]).with_flax(optimizer=wrong))


class Rounded(nn.Linear):
    """Keeps eight bits of its product in float32, as TF32 or bfloat16 would, and all of them in float64."""

    def __call__(self, x):
        y = x @ self.kernel[...]
        return (y.astype(jnp.bfloat16).astype(y.dtype) if y.dtype == jnp.float32 else y) + self.bias[...]


def test_low_precision_fails_in_float32_alone():
    twin = small_twin(plant("out", Rounded), steps=1)
    assert not failing_after_all(twin)
    assert "evaluation/output" in failing(twin, "float32")


class Leaks(nn.Linear):
    """Rounds its product to float32 even where everything is float64."""

    def __call__(self, x):
        return jax.lax.reduce_precision(x @ self.kernel[...], exponent_bits=8, mantissa_bits=23) + self.bias[...]


def test_a_float32_leak_fails_in_float64():
    assert "evaluation/output" in failing(small_twin(plant("square", Leaks), steps=1))


class MovesInEvaluation(nn.BatchNorm):
    def __call__(self, x):
        self.mean[...] += 0 if not self.use_running_average else 1e-6
        y = super().__call__(x)
        return y


def test_statistics_that_move_in_evaluation_fail():
    assert "evaluation/bn.running_mean" in failing(small_twin(plant("bn", MovesInEvaluation), steps=1))


class DrawsTwice(nnx.Dropout):
    def __call__(self, x):
        return super().__call__(super().__call__(x))


def test_a_draw_that_pytorch_does_not_make_is_told():
    result = check(plant("drop", DrawsTwice))
    assert result.blame and result.blame.cause == "dropout-added"
    assert failures(result) == ["forward/drop.dropout in Flax (call 2)"]
