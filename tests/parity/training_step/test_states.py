"""TrainStates of Linen and modules of NNX, with batch statistics and averages, beside PyTorch's."""

from functools import partial
from typing import Any

import jax
import numpy as np
import optax
import pytest
import torch
from flax import linen, nnx
from flax.training.train_state import TrainState
from step_batches import EXACT, IMAGES, loss_of
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from training_steps import named

import parity


class TorchConv(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 5, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(5)
        self.head = torch.nn.Linear(5, 4)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


def torch_step(model, optimizer, batch, average=None):
    x, y = batch
    model.train()
    optimizer.zero_grad()
    loss = cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    if average is not None:
        average.update_parameters(model)
    return loss


class NormOfTorch(nnx.BatchNorm):
    """PyTorch's: its running variance is over n - 1."""

    def __call__(self, x, *args, **options):
        n = x.size // x.shape[-1]
        rest = self.momentum * self.var[...]
        y = super().__call__(x, *args, **options)
        self.var[...] = rest + (self.var[...] - rest) * n / (n - 1)
        return y


class Conv(nnx.Module):
    def __init__(self, rngs, norm=NormOfTorch, momentum=0.9):
        self.conv = nnx.Conv(3, 5, (3, 3), rngs=rngs)
        self.norm = norm(5, momentum=momentum, use_fast_variance=False, rngs=rngs)
        self.head = nnx.Linear(5, 4, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.norm(self.conv(x))).mean((1, 2)))


@nnx.jit
def nnx_step(model, optimizer, batch):
    x, y = batch
    loss, grads = nnx.value_and_grad(lambda model: loss_of(model(x), y))(model)
    optimizer.update(model, grads)
    return loss


@nnx.jit
def averaging(state, batch):
    model, optimizer, average = state
    x, y = batch
    loss, grads = nnx.value_and_grad(lambda model: loss_of(model(x), y))(model)
    optimizer.update(model, grads)
    mixed = jax.tree.map(lambda e, p: 0.9 * e + 0.1 * p, nnx.state(average, nnx.Param), nnx.state(model, nnx.Param))
    nnx.update(average, mixed)
    nnx.update(average, nnx.state(model, nnx.BatchStat))
    return {"loss": loss}


def conv_pair(average=False, **options):
    torch.manual_seed(0)
    theirs = TorchConv()
    model = Conv(nnx.Rngs(0), **options)
    state: Any = (model, nnx.Optimizer(model, optax.adam(0.01), wrt=nnx.Param))
    return (*state, Conv(nnx.Rngs(1), **options)) if average else state, theirs


def numbers_of(theirs, optimizer):
    return [value.clone() for value in theirs.state_dict().values()], len(optimizer.state)


def test_nnx_with_batch_statistics_passes_and_stays_as_it_was():
    state, theirs = conv_pair()
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    before = numbers_of(theirs, optimizer)
    ours = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(state[0]))]
    result = parity.check_step(nnx_step, state, torch_step, theirs, optimizer, IMAGES)
    assert result.status == "pass", result.blame
    assert any("running_var" in row.name for row in result.rows["float64"])
    assert any(row.key.phase == "after" for row in result.rows["float64"]) and len(result.trajectory) == 3
    after = numbers_of(theirs, optimizer)
    assert all(map(torch.equal, before[0], after[0])) and before[1] == after[1] == 0
    assert all(parameter.grad is None and parameter.dtype == torch.float32 for parameter in theirs.parameters())
    assert all(map(np.array_equal, ours, jax.tree.leaves(nnx.state(state[0]))))


STATISTICS = [
    ({"norm": nnx.BatchNorm}, "biased-variance", "over n, PyTorch over n - 1 (n = 384)"),
    ({"momentum": 0.99}, "statistics-momentum", "momentum is 0.99 in Flax"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("options", "cause", "text"), STATISTICS)
def test_batch_statistics_that_differ(options, cause, text):
    state, theirs = conv_pair(**options)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    result = parity.check_step(nnx_step, state, torch_step, theirs, optimizer, IMAGES, tiers=EXACT)
    named(result, cause, text)


def test_statistics_that_differ_beside_an_update():
    state, theirs = conv_pair(norm=nnx.BatchNorm)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.02)
    blame = parity.check_step(nnx_step, state, torch_step, theirs, optimizer, IMAGES[:1], tiers=EXACT).blame
    assert blame and [other.cause for other in blame.others] == ["biased-variance"], blame
    assert "also wrong: step 1, the buffer norm.running_var" in blame.text


@pytest.mark.slow
def test_an_averaged_module_beside_the_model():
    state, theirs = conv_pair(average=True)
    average = AveragedModel(theirs, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    average.n_averaged.fill_(1)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    step = partial(torch_step, average=average)
    result = parity.check_step(averaging, state, step, theirs, optimizer, IMAGES, torch_state={"average": average})
    assert result.status == "pass", result.blame
    assert any(str(row.key).endswith("average:norm.running_var") for row in result.rows["float64"])


@pytest.mark.slow
def test_an_average_whose_first_update_copies():
    state, theirs = conv_pair(average=True)
    average = AveragedModel(theirs, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    step = partial(torch_step, average=average)
    result = parity.check_step(
        averaging, state, step, theirs, optimizer, IMAGES, tiers=EXACT, torch_state={"average": average}
    )
    named(result, "ema-decay", "PyTorch's first update copies the weights")


class LinenConv(linen.Module):
    @linen.compact
    def __call__(self, x, train=True):
        x = linen.Conv(5, (3, 3))(x)
        x = linen.BatchNorm(use_running_average=not train, momentum=0.9, use_fast_variance=False)(x)
        return linen.Dense(4)(linen.relu(x).mean((1, 2)))


class WithStatistics(TrainState):
    batch_stats: Any
    key: Any
    ema_params: Any


@partial(jax.jit, donate_argnums=0)
def linen_step(state, batch):
    def loss_fn(params):
        variables = {"params": params, "batch_stats": state.batch_stats}
        scores, changed = state.apply_fn(variables, batch["image"], mutable=["batch_stats"])
        return loss_of(scores, batch["label"]), changed["batch_stats"]

    (loss, statistics), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    n = batch["image"].size // 3  # PyTorch's running variance is over n - 1
    moved = statistics["BatchNorm_0"]
    rest = 0.9 * state.batch_stats["BatchNorm_0"]["var"]
    var = rest + (moved["var"] - rest) * n / (n - 1)
    new = state.apply_gradients(grads=grads, batch_stats={"BatchNorm_0": {"mean": moved["mean"], "var": var}})
    average = jax.tree.map(lambda e, p: 0.9 * e + 0.1 * p, state.ema_params, new.params)
    return new.replace(ema_params=average), {"loss": loss, "key": state.key}


def test_linen_train_state_with_statistics_average_and_key():
    torch.manual_seed(0)
    theirs = TorchConv()
    shadow = {name: p.detach().clone() for name, p in theirs.named_parameters()}
    model = LinenConv()
    variables = model.init(jax.random.key(0), IMAGES[0][0])
    state = WithStatistics.create(
        apply_fn=model.apply,
        params=variables["params"],
        tx=optax.sgd(0.1, momentum=0.9),
        batch_stats=variables["batch_stats"],
        key=jax.random.key(1),
        ema_params=variables["params"],
    )

    def step(model, optimizer, batch):
        loss = torch_step(model, optimizer, (batch["image"], batch["label"]))
        with torch.no_grad():
            for name, p in model.named_parameters():
                shadow[name].mul_(0.9).add_(p, alpha=0.1)
        return loss.item()

    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    batches = [{"image": x, "label": y} for x, y in IMAGES]
    result = parity.check_step(linen_step, state, step, theirs, optimizer, batches, torch_state={"ema": shadow})
    assert result.status == "pass", result.blame
    slots = {row.key.slot for row in result.rows["float64"]}
    assert {"ema", "momentum_buffer"} <= slots
