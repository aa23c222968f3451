"""Updates whose first step hides the reason, and parameters that are treated each in its own way."""

from functools import partial

import numpy as np
import pytest
import torch

from parity.blame.diagnosis import Cause, explain_update
from parity.blame.diagnosis.cause import confirmed

SGD = partial(torch.optim.SGD, lr=0.1)
ADAM = partial(torch.optim.Adam, lr=0.01)
ADAMW = partial(torch.optim.AdamW, lr=0.01)
random = np.random.default_rng(0)
BEFORE = {"0.weight": random.normal(size=(3, 5)), "0.bias": random.normal(size=5), "1.weight": random.normal(size=5)}
GRADS = {name: random.normal(size=array.shape) for name, array in BEFORE.items()}


def stepped(make, state=None):
    """Returns what PyTorch's optimiser makes of the gradients."""
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in BEFORE.items()}
    optimizer = make(list(tensors.values()))
    for name, tensor in tensors.items():
        tensor.grad = torch.tensor(GRADS[name])
        optimizer.state[tensor] |= {slot: torch.tensor(value) for slot, value in (state or {}).get(name, {}).items()}
    optimizer.step()
    return {name: tensor.detach().numpy() - BEFORE[name] for name, tensor in tensors.items()}


def groups(kind, second, **options):
    """Returns a maker of an optimiser whose vectors are a group with other options."""

    def make(parameters):
        matrices = {"params": [p for p in parameters if p.ndim > 1]}
        return kind([matrices, {"params": [p for p in parameters if p.ndim < 2], **second}], **options)

    return make


def explained(make, other, state=None, slots=()):
    cause = explain_update(make, BEFORE, GRADS, state or {}, other, slots=slots)
    assert cause is not None
    return cause


def test_a_first_step_without_nesterov_is_not_one_without_momentum():
    nesterov = partial(SGD, momentum=0.9, nesterov=True)
    plain = stepped(partial(SGD, momentum=0.9))
    assert explained(nesterov, plain, slots={"momentum_buffer"}).name == "nesterov"
    assert explained(nesterov, plain).name == "momentum-missing"  # of what holds no buffer


def corrected(square, largest):
    """Returns the second step of optax.amsgrad, written out, where PyTorch's largest square so far is that one."""
    state = {
        name: {
            "step": np.float32(1),
            "exp_avg": 0.1 * np.sort(g),
            "exp_avg_sq": square * g**2,
            "max_exp_avg_sq": largest * g**2,
        }
        for name, g in GRADS.items()
    }
    updates = {}
    for name, g in GRADS.items():
        slots = state[name]
        m = (0.9 * slots["exp_avg"] + 0.1 * g) / (1 - 0.9**2)
        v = (0.999 * slots["exp_avg_sq"] + 0.001 * g**2) / (1 - 0.999**2)
        updates[name] = -0.01 * m / (np.sqrt(np.maximum(v, slots["max_exp_avg_sq"])) + 1e-8)
    return state, updates


@pytest.mark.parametrize("largest", [2.0, 100.0])
def test_amsgrad_of_corrected_moments_is_no_missing_amsgrad(largest):
    state, updates = corrected(0.1, largest)
    cause = explained(partial(ADAM, amsgrad=True), updates, state, {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"})
    assert cause.name == "amsgrad-corrected"
    assert "takes the largest" in cause.text and "corrected" in cause.text and "does not take" not in cause.text


def test_amsgrad_that_is_missing_is_called_so():
    state, updates = corrected(0.1, 2.0)  # corrected squares are larger: as plain Adam
    cause = explained(partial(ADAM, amsgrad=True), updates, state, {"exp_avg", "exp_avg_sq"})
    assert cause.name == "amsgrad" and "does not take" in cause.text


def test_parameters_that_decay_on_one_side_alone_are_named():
    right = groups(torch.optim.AdamW, {"weight_decay": 0.0}, lr=0.01, weight_decay=0.1)
    cause = explained(right, stepped(partial(ADAMW, weight_decay=0.1)))
    assert cause.name == "weight-decay-mask"
    assert cause.text == "Flax decays 0.bias, 1.weight, PyTorch does not"


def test_rates_of_groups_are_named():
    right = groups(torch.optim.Adam, {"lr": 0.001}, lr=0.01)
    cause = explained(right, stepped(ADAM))
    assert cause.name == "learning-rate-of-group"
    assert cause.text == "Flax's learning rate is for 0.bias, 1.weight 0.01, PyTorch's 0.001"
    assert explained(ADAM, stepped(partial(torch.optim.Adam, lr=0.02))).name == "learning-rate"


def test_steps_that_norms_scale_are_no_rates():
    ratios = {name: np.linalg.norm(BEFORE[name]) / np.linalg.norm(step) for name, step in stepped(ADAM).items()}
    trusted = {name: ratios[name] * step for name, step in stepped(ADAM).items()}
    cause = explained(ADAM, trusted)
    assert cause.name == "step-scale-of-each"
    assert f"{ratios['0.weight']:.6g} for 0.weight" in cause.text
    by_hand = {
        name: {"0.weight": 0.5, "0.bias": 0.3, "1.weight": 2}[name] * step for name, step in stepped(ADAM).items()
    }
    assert explained(ADAM, by_hand).name == "learning-rate-of-group"  # somebody has written those


def test_a_guess_is_confirmed_by_another_step():
    guess = Cause("momentum-missing", "first", 0.0)
    sure = Cause("nesterov", "second", 0.0)
    assert confirmed([guess, sure]) is sure
    assert confirmed([None, guess, None]) is guess and confirmed([None, guess], strict=True) is guess
    assert confirmed([guess, None], strict=True) is None  # a later update refutes it
    assert confirmed([guess, Cause("momentum-missing", "another", 0.0), sure]) is guess
    assert confirmed([sure, guess]) is sure
    scheduled = Cause("momentum-schedule", "NAdam", 0.0)
    assert confirmed([Cause("learning-rate", "of one step", 0.0), scheduled]) is scheduled
    assert confirmed([None]) is None
    still = Cause("step-missing", "a rate of 0", 0.0)
    late = Cause("learning-rate", "a step late", 0.0)
    assert confirmed([still, late, late]) is late and confirmed([still, still]) is still
