"""Bugs in optimisers, schedules and clipping: PyTorch's is right, Flax's is another, Optax's own as a rule."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
import torch

from d2l_jax import optim
from parity.selftest.bug import Bug, Pair
from parity.selftest.pairs.dense import small, torch_small

ALL = "optimizer"


def training(name: str, flax: Callable[[], Any], pytorch: Callable[..., Any], **torch_turn: Any) -> Pair:
    pair = (flax(), pytorch)
    return Pair(f"small with {name}", small, torch_small, (6, 5), optimizer=pair, torch_turn=torch_turn, steps=3)


def same(name: str, algorithm: str, **options: Any) -> Pair:
    """The optimiser of that name on both sides."""
    return training(
        name, lambda: getattr(optim, algorithm)(**options), partial(getattr(torch.optim, algorithm), **options)
    )


def clip(model: torch.nn.Module) -> None:
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)


def every_two(optimizer: torch.optim.Optimizer) -> Any:
    return torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)


SGD = same("momentum", "SGD", lr=0.1, momentum=0.9)
DECAYED = same("weight decay", "SGD", lr=0.1, weight_decay=0.1)
ADAM = same("Adam", "Adam", lr=1e-2, eps=1e-3)
ADAM_L2 = same("Adam and weight decay", "Adam", lr=1e-2, weight_decay=0.1)
ADAMW = same("AdamW", "AdamW", lr=1e-2)
AMSGRAD = same("AMSGrad", "Adam", lr=1e-2, amsgrad=True, betas=(0.5, 0.6))
ADAGRAD = same("Adagrad", "Adagrad", lr=1e-2)
RMSPROP = same("RMSprop", "RMSprop", lr=1e-2)
CLIPPED = training(
    "clipping",
    lambda: optax.chain(optim.clip_grad_norm(0.1), optim.SGD(0.1)),
    lambda params: torch.optim.SGD(params, 0.1),
    prepare=clip,
)
SCHEDULED = training(
    "a schedule",
    lambda: optim.SGD(optax.piecewise_constant_schedule(0.1, {2: 0.5})),
    lambda params: torch.optim.SGD(params, 0.1),
    scheduler=every_two,
)
CLIPPED_ADAM = training(
    "clipping and Adam",
    lambda: optax.chain(optim.clip_grad_norm(0.1), optim.Adam(1e-2)),
    lambda params: torch.optim.Adam(params, 1e-2),
    prepare=clip,
)
cosine = optax.cosine_decay_schedule(1e-2, 5)
COSINE = training(
    "a cosine",
    lambda: optim.Adam(cosine),
    lambda params: torch.optim.Adam(params, 1e-2),
    scheduler=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5),
)
OPTIMIZER_PAIRS = (
    *(SGD, DECAYED, ADAM, ADAM_L2, ADAMW, AMSGRAD, ADAGRAD, RMSPROP, CLIPPED, SCHEDULED, CLIPPED_ADAM, COSINE),
)  # fmt: skip


def uncorrected(lr: float, b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Adam's moments without the correction for their start at zero."""

    def init(params: Any) -> optax.ScaleByAdamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), zeros, zeros)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, updates)
        step = jax.tree.map(lambda m, v: -lr * m / (jnp.sqrt(v) + eps), mu, nu)
        return step, optax.ScaleByAdamState(state.count + 1, mu, nu)

    return optax.GradientTransformation(init, update)


def late(rate: float, factor: float, first: int) -> optax.Schedule:
    """`factor` times the rate from step `first` on."""
    return lambda count: jnp.where(jnp.asarray(count) + 1 >= first, rate * factor, rate)


def one_late(schedule: optax.Schedule) -> optax.Schedule:
    """The rate of the step before."""
    return lambda count: schedule(jnp.maximum(jnp.asarray(count) - 1, 0))


def bug(name: str, pair: Pair, causes: tuple[str, ...], wrong: optax.GradientTransformation, steps: int = 0) -> Bug:
    return Bug(name, pair, ALL, causes, flax_turn={"optimizer": lambda: wrong}, steps=steps)


BUGS = (
    bug("momentum turned round", SGD, ("momentum-complement",), optim.SGD(0.1, momentum=0.1)),
    bug("momentum dampened", SGD, ("dampening",), optim.SGD(0.1, momentum=0.9, dampening=0.9)),
    bug("Nesterov's momentum", SGD, ("nesterov",), optax.sgd(0.1, 0.9, nesterov=True)),
    bug("weight decay left out", DECAYED, ("weight-decay-missing",), optim.SGD(0.1)),
    bug("no weight decay of biases", DECAYED, ("weight-decay-on-bias",), optax.chain(
        optax.add_decayed_weights(0.1, lambda params: jax.tree.map(lambda p: p.ndim > 1, params)), optax.sgd(0.1))),
    bug("AdamW for Adam with L2", ADAM_L2, ("weight-decay-decoupled",), optim.AdamW(1e-2, weight_decay=0.1)),
    bug("Adam with L2 for AdamW", ADAMW, ("weight-decay-l2",), optim.Adam(1e-2, weight_decay=1e-2)),
    bug("AdamW's decay is Optax's 1e-4", ADAMW, ("weight-decay",), optim.AdamW(1e-2, weight_decay=1e-4)),
    bug("Adam's eps inside the root", ADAM, ("eps-in-root",), optax.adam(1e-2, eps=0, eps_root=1e-3)),
    bug("Adam's eps 1e-8", ADAM, ("eps",), optim.Adam(1e-2)),
    bug("Adam without bias correction", ADAM, ("bias-correction-missing",), uncorrected(1e-2, 0.9, 0.999, 1e-3)),
    bug("AMSGrad forgotten", AMSGRAD, ("amsgrad",), optim.Adam(1e-2, betas=(0.5, 0.6)), steps=4),
    bug("Adagrad starts at Optax's 0.1", ADAGRAD, ("accumulator-start", "accumulator-start+eps-in-root"),
        optax.adagrad(1e-2)),
    bug("Optax's RMSprop", RMSPROP, ("alpha", "eps-in-root", "alpha+eps-in-root"), optax.rmsprop(1e-2)),
    bug("clipping left out", CLIPPED, ("clip-missing",), optim.SGD(0.1)),
    bug("clipping without the 1e-6", CLIPPED, ("clip-norm", "clip-eps"),
        optax.chain(optim.clip_gradients(0.1), optim.SGD(0.1))),
    bug("clipping to another norm", CLIPPED, ("clip-norm",), optax.chain(optim.clip_grad_norm(0.17), optim.SGD(0.1))),
    bug("clipping in Flax alone", ADAM, ("clip-norm",), optax.chain(
        optax.clip_by_global_norm(0.1), optim.Adam(1e-2, eps=1e-3))),
    bug("clipping behind the optimiser", CLIPPED_ADAM, ("clip-update",), optax.chain(
        optim.Adam(1e-2), optax.clip_by_global_norm(0.01))),
    bug("schedule one step late", SCHEDULED, ("learning-rate",),
        optim.SGD(optax.piecewise_constant_schedule(0.1, {3: 0.5}))),
    bug("cosine one step late", COSINE, ("learning-rate",), optim.Adam(one_late(cosine))),
    bug("another rate from step 3 on", SGD, ("step-scale", "learning-rate"),
        optim.SGD(late(0.1, 1.1, 3), momentum=0.9), steps=4),
)  # fmt: skip
