"""What a step keeps that the other side has out of sight, in another form, or beside its parameters."""

import copy
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest
import torch
from flax import nnx
from torch.nn.functional import mse_loss
from training_steps import BATCHES, EXACT, check, jax_step, loss_and_grads, named, net, params, sgd, torch_step

import parity


class Factors(NamedTuple):
    count: jax.Array
    row: Any
    column: Any


def adafactor(lr, decay=-0.8):
    """Means of squares by rows and by columns of Flax's kernels, which are columns and rows of PyTorch's weights."""

    def init(params):
        rows = jax.tree.map(lambda p: jnp.zeros((*p.shape[:-1], 1)) if p.ndim > 1 else jnp.zeros(p.shape), params)
        columns = jax.tree.map(lambda p: jnp.zeros((1, p.shape[-1])) if p.ndim > 1 else jnp.zeros(()), params)
        return Factors(jnp.zeros(()), rows, columns)

    def update(grads, state, params):
        count = state.count + 1
        share = count**decay
        rate = jnp.minimum(lr, 1 / jnp.sqrt(count))

        def mean(old, g, axis):
            new = jnp.mean(g * g, axis, keepdims=True) if g.ndim > 1 else g * g
            return old + share * (new - old) if old.ndim else old

        row = jax.tree.map(lambda old, g: mean(old, g, -1), state.row, grads)
        column = jax.tree.map(lambda old, g: mean(old, g, 0), state.column, grads)

        def moved(g, r, c, p):
            v = r @ c / r.mean(0) if g.ndim > 1 else r
            u = g / jnp.sqrt(v)
            size = jnp.sqrt(p.size)
            u = u / jnp.maximum(1.0, jnp.linalg.norm(u) / size)
            return -rate * jnp.maximum(1e-3, jnp.linalg.norm(p) / size) * u

        return jax.tree.map(moved, grads, row, column, params), Factors(count, row, column)

    return optax.GradientTransformation(init, update)


@pytest.mark.parametrize("decay, status", [(-0.8, "pass"), (-0.7, "fail")])
def test_factors_of_transposed_weights_are_not_rounded_apart(decay, status):
    tx = adafactor(0.01, decay)
    optimizer = lambda model: torch.optim.Adafactor(model.parameters(), lr=0.01, weight_decay=0)  # noqa: E731
    assert check(jax_step(tx), tx, torch_step, optimizer).status == status


class Lookahead:
    """Keeps slow weights in a list of its own."""

    def __init__(self, optimizer):
        self.optimizer, self.count = optimizer, 0
        self.slow = [p.detach().clone() for p in optimizer.param_groups[0]["params"]]

    def step(self):
        self.optimizer.step()
        self.count += 1
        for slow, p in zip(self.slow, self.optimizer.param_groups[0]["params"], strict=True):
            if self.count % 2 == 0:
                slow.add_(p.data - slow, alpha=0.5)
                p.data.copy_(slow)


@pytest.mark.parametrize("rate, status", [(0.5, "pass"), (0.8, "fail")])
def test_slow_weights_out_of_sight_begin_as_pytorchs(rate, status):
    tx, model = optax.sgd(0.1), net()
    optimizer = sgd(model)
    ahead = Lookahead(optimizer)

    def step(model, optimizer, batch):
        return torch_step(model, ahead, batch)

    ahead.zero_grad = optimizer.zero_grad

    def after(state, new):
        even = (state["step"] + 1) % 2 == 0
        slow = jax.tree.map(lambda s, f: jnp.where(even, s + rate * (f - s), s), state["slow"], new["params"])
        fast = jax.tree.map(lambda s, f: jnp.where(even, s, f), slow, new["params"])
        return {"slow": slow, "params": fast, "step": state["step"] + 1}

    start = jax.tree.map(lambda p: p + 0.1, params())
    state = {"params": start, "opt": tx.init(start), "slow": start, "step": jnp.zeros((), jnp.int32)}
    ours = jax_step(tx, loss_and_grads, after)
    result = parity.check_step(ours, state, step, model, optimizer, BATCHES, tiers=EXACT)
    assert result.status == status, result.blame
    assert "slow" in result.skipped


class Normed(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.norm = nnx.BatchNorm(5, momentum=0.9, use_fast_variance=False, rngs=rngs)
        self.out = nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, x):
        return self.out(self.norm(x))


class TorchNormed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.out = torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 3)

    def forward(self, x):
        return self.out(self.norm(x))


def taught(kinds, share=0.01):
    """Gives a step of a student, whose teacher averages what is of these kinds."""

    @nnx.jit
    def step(state, x):
        student, teacher, optimizer = state
        loss, grads = nnx.value_and_grad(lambda model: jnp.mean((model(x) - teacher(x)) ** 2))(student)
        optimizer.update(student, grads)
        old, new = (nnx.state(model, kinds) for model in (teacher, student))
        nnx.update(teacher, jax.tree.map(lambda e, p: (1 - share) * e + share * p, old, new))
        return loss

    return step


STATISTICS = [
    (nnx.Any(nnx.Param, nnx.BatchStat), 0.01, "biased-variance", ""),  # of the student, as Flax's always is
    (
        nnx.Param,
        0.01,
        "ema-missing",
        "the average teacher:norm.running_mean and 1 more: Flax's average stays as it was",
    ),
    (nnx.Any(nnx.Param, nnx.BatchStat), 0.05, "ema-decay", "decay is 0.95 in Flax, 0.99 in PyTorch"),
]


@pytest.mark.parametrize(("kinds", "share", "cause", "text"), STATISTICS, ids=["control", "left", "share"])
def test_statistics_of_a_teacher_are_judged_where_they_alone_differ(kinds, share, cause, text):
    student, teacher, theirs = Normed(), Normed(), TorchNormed()
    teacher.eval()
    theirs.norm.momentum = 0.1 if cause == "biased-variance" else 0.0
    if cause != "biased-variance":
        student.norm.momentum = 1.0
    average = copy.deepcopy(theirs).eval()
    for array in (average.norm.running_mean, average.norm.running_var):
        array.add_(1.0)

    def step(model, optimizer, x):
        optimizer.zero_grad()
        loss = mse_loss(model(x), average(x).detach())
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for e, p in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
                if e.is_floating_point():
                    e.mul_(0.99).add_(p, alpha=0.01)
        return loss

    state = student, teacher, nnx.Optimizer(student, optax.sgd(0.1), wrt=nnx.Param)
    inputs = [x for x, _ in BATCHES]
    result = parity.check_step(
        taught(kinds, share), state, step, theirs, sgd(theirs), inputs, tiers=EXACT, torch_state={"teacher": average}
    )
    named(result, cause, text)
