"""Updates: what Optax's own defaults do, and every option altered in PyTorch, is named."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from d2l_jax.errors import InputError
from parity.blame.diagnosis import explain_update


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def before_and_gradients(square=False):
    shape = (5, 5) if square else (3, 5)
    before = {"weight": normal(*shape), "bias": normal(shape[1], seed=1)}
    grads = {"weight": normal(*shape, seed=2), "bias": normal(shape[1], seed=3)}
    return before, grads


def stepped(make, before, grads, earlier=0, clip=None):
    """State of PyTorch's optimiser after `earlier` steps from 0, and the change of the next step."""
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in before.items()}
    optimizer = make(list(tensors.values()))
    for number in range(earlier):
        for tensor in tensors.values():
            tensor.grad = torch.tensor(normal(*tensor.shape, seed=10 + number))
        optimizer.step()
    state = {
        name: {k: v.numpy().copy() for k, v in optimizer.state[t].items() if v is not None}
        for name, t in tensors.items()
    }
    for name, tensor in tensors.items():
        tensor.data = torch.tensor(before[name])
        tensor.grad = torch.tensor(grads[name])
    if clip:
        clip(list(tensors.values()))
    optimizer.step()
    return state, {name: t.detach().numpy() - before[name] for name, t in tensors.items()}


def optax_update(transform, before, grads):
    """The first step of an Optax optimiser in float64."""
    params, grads = ({name: jnp.asarray(value) for name, value in tree.items()} for tree in (before, grads))
    updates, _ = transform.update(grads, transform.init(params), params)
    return {name: np.asarray(value) for name, value in updates.items()}


SGD = partial(torch.optim.SGD, lr=0.1)
MOMENTUM = partial(torch.optim.SGD, lr=0.1, momentum=0.8)
ADAM = partial(torch.optim.Adam, lr=1e-2)
ADAMW = partial(torch.optim.AdamW, lr=1e-2)
RMSPROP = partial(torch.optim.RMSprop, lr=1e-2)
ADAGRAD = partial(torch.optim.Adagrad, lr=1e-2)


class OfNorms(torch.optim.Optimizer):
    """Gradient descent whose step, the weight decay included, is as long as the weights: LAMB without its moments."""

    def __init__(self, params, lr, weight_decay):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                way = p.grad + group["weight_decay"] * p
                p.sub_(group["lr"] * p.norm() / way.norm() * way)


BY_NORMS = partial(OfNorms, lr=1e-2, weight_decay=0.1)
BESIDE = optax.chain(optax.scale_by_trust_ratio(), optax.add_decayed_weights(0.1), optax.scale(-1e-2))
NO_DECAY = optax.chain(optax.scale_by_trust_ratio(), optax.scale(-1e-2))

# name, PyTorch's optimiser, Optax's with the defaults or the option that differ
AFTERWARDS = optax.stateless(lambda updates, params: jax.tree.map(lambda u, p: u - 1e-4 * (p + u), updates, params))
OPTAX = [
    ("weight-decay", ADAMW, optax.adamw(1e-2)),
    ("weight-decay-missing", ADAMW, optax.adam(1e-2)),
    ("weight-decay-after", ADAMW, optax.chain(optax.adam(1e-2), AFTERWARDS)),
    ("weight-decay-l2", ADAMW, optax.chain(optax.add_decayed_weights(1e-2), optax.adam(1e-2))),
    ("weight-decay-decoupled", partial(ADAM, weight_decay=1e-2), optax.adamw(1e-2, weight_decay=1e-2)),
    ("weight-decay-decoupled", BY_NORMS, BESIDE),
    ("weight-decay-missing", BY_NORMS, NO_DECAY),
    ("accumulator-start+eps-in-root", ADAGRAD, optax.adagrad(1e-2)),
    ("alpha+eps-in-root", RMSPROP, optax.rmsprop(1e-2)),
    ("eps-in-root", RMSPROP, optax.rmsprop(1e-2, decay=0.99)),
    ("alpha", RMSPROP, optax.rmsprop(1e-2, eps_in_sqrt=False)),
    ("accumulator-start", RMSPROP, optax.rmsprop(1e-2, decay=0.99, eps_in_sqrt=False, initial_scale=1.0)),
    ("nesterov", MOMENTUM, optax.sgd(0.1, momentum=0.8, nesterov=True)),
    ("learning-rate", SGD, optax.sgd(1.0)),
    ("sign", SGD, optax.scale(0.1)),
    ("clip-norm", SGD, optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))),
    ("clip-value", SGD, optax.chain(optax.clip(0.5), optax.sgd(0.1))),
    ("weight-decay", SGD, optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(0.1))),
]  # fmt: skip


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("number", range(len(OPTAX)))
def test_what_optax_does_is_named(number, square):
    name, make, transform = OPTAX[number]
    before, grads = before_and_gradients(square)
    cause = explain_update(make, before, grads, {}, optax_update(transform, before, grads))
    assert cause is not None and cause.name == name, cause


def test_optax_adam_corrects_in_lower_precision():
    """The reason for `d2l_jax.optim.scale_by_adam`."""
    before, grads = before_and_gradients()
    cause = explain_update(ADAM, before, grads, {}, optax_update(optax.adam(1e-2), before, grads))
    assert cause is None or cause.name in ("bias-correction-float32", "float32"), cause


WITHOUT = partial(ADAM, betas=(0.0, 0.99))  # a beta exchanged with 1 - beta would divide by 0
NADAM = partial(torch.optim.NAdam, lr=1e-2)

# name, PyTorch's optimiser, the same with another option, steps before
TORCH = [
    ("momentum-complement", MOMENTUM, partial(SGD, momentum=1 - 0.8), 2),
    ("momentum-missing", MOMENTUM, SGD, 2),
    ("momentum", MOMENTUM, partial(SGD, momentum=0.95), 2),
    ("dampening", MOMENTUM, partial(MOMENTUM, dampening=0.8), 2),
    ("nesterov", MOMENTUM, partial(MOMENTUM, nesterov=True), 2),
    ("nesterov", partial(MOMENTUM, nesterov=True), MOMENTUM, 2),
    ("learning-rate", ADAM, partial(torch.optim.Adam, lr=2e-2), 2),
    ("learning-rate", ADAM, partial(torch.optim.Adam, lr=5e-3), 2),
    ("sign", MOMENTUM, partial(MOMENTUM, maximize=True), 2),
    ("weight-decay-missing", partial(MOMENTUM, weight_decay=0.3), MOMENTUM, 2),
    ("weight-decay", ADAM, partial(ADAM, weight_decay=1e-2), 2),
    ("betas-exchanged", ADAM, partial(ADAM, betas=(0.999, 0.9)), 2),
    ("betas", ADAM, partial(ADAM, betas=(0.9, 0.99)), 2),
    ("betas", ADAM, partial(ADAM, betas=(0.5, 0.999)), 2),
    ("eps", ADAM, partial(ADAM, eps=1e-6), 2),
    ("eps", WITHOUT, partial(WITHOUT, eps=1e-6), 2),
    ("momentum-schedule", NADAM, partial(NADAM, momentum_decay=1e9), 0),
    ("eps", RMSPROP, partial(RMSPROP, eps=1e-6), 2),
    ("eps", ADAGRAD, partial(ADAGRAD, eps=1e-6), 2),
    ("centered", RMSPROP, partial(RMSPROP, centered=True), 2),
    ("alpha", RMSPROP, partial(RMSPROP, alpha=0.9), 2),
    ("accumulator-start", ADAGRAD, partial(ADAGRAD, initial_accumulator_value=0.1), 2),
    ("lr-decay-missing", partial(ADAGRAD, lr_decay=0.3), ADAGRAD, 2),
]


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("number", range(len(TORCH)))
def test_an_altered_option_is_named(number, square):
    name, make, other, earlier = TORCH[number]
    before, grads = before_and_gradients(square)
    state, right = stepped(make, before, grads, earlier)
    assert explain_update(make, before, grads, state, right) is None

    def with_state(tensors):
        optimizer = other(tensors)
        for tensor, slots in zip(tensors, state.values()):
            optimizer.state[tensor] |= {k: torch.tensor(v) for k, v in slots.items()}
            if name == "centered":
                optimizer.state[tensor]["grad_avg"] = torch.zeros_like(tensor)
        return optimizer

    if name == "accumulator-start":
        _, update = stepped(other, before, grads, earlier)
    else:
        _, update = stepped(with_state, before, grads)
    cause = explain_update(make, before, grads, state, update)
    assert cause is not None and cause.name == name, cause


def by_hand(before, grads, state, *, later=0, corrected=True, inside=False, before_root=False, eps=1e-8, lr=1e-2):
    """Adam with one thing different, written out."""

    def change(slots, g):
        t = float(slots["step"]) + 1 + later
        m = 0.9 * slots["exp_avg"] + 0.1 * g
        v = 0.999 * slots["exp_avg_sq"] + 0.001 * g**2
        if corrected:
            m = m / (1 - 0.9**t)
        correction = 1 - 0.999**t if corrected else 1.0
        if before_root:
            return -lr * m * np.sqrt(correction) / (np.sqrt(v) + eps)
        v = v / correction
        return -lr * m / (np.sqrt(v + eps) if inside else np.sqrt(v) + eps)

    return {name: change(state[name], grads[name]) for name in before}


@pytest.mark.parametrize(
    "name, options",
    [
        ("step-count", {"later": 1}),
        ("step-count", {"later": -1}),
        ("bias-correction-missing", {"corrected": False}),
        ("eps-in-root", {"inside": True}),
        ("eps-uncorrected", {"before_root": True}),
    ],
)
def test_adam_of_other_conventions(name, options):
    before, grads = before_and_gradients()
    state, _ = stepped(ADAM, before, grads, 2)
    assert explain_update(ADAM, before, grads, state, by_hand(before, grads, state)) is None
    cause = explain_update(ADAM, before, grads, state, by_hand(before, grads, state, **options))
    assert cause is not None and cause.name == name, cause


def test_amsgrad():
    before, grads = before_and_gradients()
    amsgrad = partial(ADAM, amsgrad=True)
    state, _ = stepped(amsgrad, before, {k: 0.01 * g for k, g in grads.items()}, 2)
    plain = {k: {s: v for s, v in slots.items() if s != "max_exp_avg_sq"} for k, slots in state.items()}
    for slots in state.values():
        slots["max_exp_avg_sq"] = 2 * slots["max_exp_avg_sq"]
    cause = explain_update(amsgrad, before, grads, state, by_hand(before, grads, plain))
    assert cause is not None and cause.name == "amsgrad", cause


def test_weight_decay_not_on_biases():
    before, grads = before_and_gradients()
    _, decayed = stepped(partial(SGD, weight_decay=0.1), before, grads)
    _, plain = stepped(SGD, before, grads)
    update = {"weight": decayed["weight"], "bias": plain["bias"]}
    cause = explain_update(partial(SGD, weight_decay=0.1), before, grads, {}, update)
    assert cause is not None and cause.name == "weight-decay-on-bias", cause


def test_clipping():
    before, grads = before_and_gradients()
    clip = torch.nn.utils.clip_grad_norm_
    _, update = stepped(SGD, before, grads, clip=lambda tensors: clip(tensors, 1.0))
    cause = explain_update(SGD, before, grads, {}, update)
    assert cause is not None and cause.name == "clip-norm" and "1e-6" in cause.text, cause
    each = {name: -0.1 * g / np.linalg.norm(g) for name, g in grads.items()}
    cause = explain_update(SGD, before, grads, {}, each)
    assert cause is not None and cause.name == "clip-per-parameter", cause


def test_clipping_in_pytorch_alone():
    before, grads = before_and_gradients()

    def clipped(tensors):
        optimizer = SGD(tensors)
        optimizer.register_step_pre_hook(lambda *_: torch.nn.utils.clip_grad_norm_(tensors, 0.37) and None)
        return optimizer

    _, update = stepped(SGD, before, grads)
    cause = explain_update(clipped, before, grads, {}, update)
    assert cause is not None and cause.name == "clip-missing", cause


def clipping_hook(clip, limit):
    def make(tensors):
        optimizer = SGD(tensors)
        optimizer.register_step_pre_hook(lambda *_: (clip(tensors, limit), None)[1])
        return optimizer

    return make


@pytest.mark.parametrize(
    ("clip", "tx", "cause", "text"),
    [
        (torch.nn.utils.clip_grad_value_, optax.clip_by_global_norm(0.37), "clip-norm", "the gradients to 0.37; Py"),
        (torch.nn.utils.clip_grad_norm_, optax.clip(0.037), "clip-value", "every value of the gradients to 0.037; Py"),
    ],
)
def test_clipping_by_numbers_and_by_norm_of_limits_of_their_own(clip, tx, cause, text):
    before, grads = before_and_gradients()
    update = optax_update(optax.chain(tx, optax.sgd(0.1)), before, grads)
    found = explain_update(clipping_hook(clip, 0.21), before, grads, {}, update)
    assert found is not None and found.name == cause and text in found.text, found
    moved = {name: 1.3 * value + (0.001 if value.ndim > 1 else 0) for name, value in update.items()}
    other = explain_update(clipping_hook(clip, 0.21), before, grads, {}, moved)
    assert other is None or not other.name.startswith("clip"), "control: of another step it is no cause"


def test_a_decay_beside_the_step_is_told_of_norms_only_where_there_are_some():
    before, grads = before_and_gradients()
    update = optax_update(optax.adamw(0.01, weight_decay=0.1), before, grads)
    small = {name: 1e4 * value for name, value in before.items()}  # beside which the step has few digits
    update = {name: value - 0.01 * 0.1 * (small[name] - before[name]) for name, value in update.items()}
    cause = explain_update(partial(torch.optim.Adam, lr=0.01, weight_decay=0.1), small, grads, {}, update)
    assert cause is not None and cause.name == "weight-decay-decoupled" and "LAMB" not in cause.text, cause


def test_steps_that_are_missing_or_scaled():
    before, grads = before_and_gradients()
    cause = explain_update(ADAM, before, grads, {}, {name: 0 * value for name, value in before.items()})
    assert cause is not None and cause.name == "step-missing"
    _, update = stepped(SGD, before, grads)
    cause = explain_update(SGD, before, grads, {}, {name: 1.234 * value for name, value in update.items()})
    assert cause is not None and cause.name == "step-scale"


@pytest.mark.parametrize("make", [SGD, MOMENTUM, ADAM, ADAMW, RMSPROP, ADAGRAD])
@pytest.mark.parametrize("seed", range(5))
def test_unrelated_updates_are_not_named(make, seed):
    before, grads = before_and_gradients(seed % 2 == 0)
    state, _ = stepped(make, before, grads, 2)
    update = {name: normal(*value.shape, seed=100 + seed) for name, value in before.items()}
    assert explain_update(make, before, grads, state, update) is None


def test_bad_calls_say_what_would_be_right():
    before, grads = before_and_gradients()
    with pytest.raises(InputError, match="bias"):
        explain_update(SGD, before, grads, {}, {"weight": before["weight"]})
    with pytest.raises(InputError, match="no gradient of shape"):
        explain_update(SGD, before, {"weight": grads["weight"]}, {}, before)


def test_control_a_step_that_is_not_a_number_has_no_factor():
    before, grads = {"w": np.ones(4)}, {"w": np.arange(1.0, 5)}
    cause = explain_update(ADAM, before, grads, {}, {"w": np.full(4, np.nan)})
    assert cause is None or cause.name == "not-finite", cause
