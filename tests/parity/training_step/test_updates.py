"""Weight decay, schedules and averages of the weights."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from training_steps import BOTH, adam, check, jax_step, named, net, params, sgd, torch_step

from d2l_jax.errors import InputError
from parity.training_step.averages import Moved, rule_of


def matrices(params):
    return jax.tree.map(lambda x: x.ndim > 1, params)


def adamw(model, biases=True):
    decayed = [p for p in model.parameters() if biases or p.ndim > 1]
    rest = [p for p in model.parameters() if not biases and p.ndim == 1]
    groups = [{"params": decayed}] + ([{"params": rest, "weight_decay": 0.0}] if rest else [])
    return torch.optim.AdamW(groups, lr=0.01, weight_decay=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("biases", [True, False])
def test_weight_decay_masks(masked, biases):
    tx = optax.adamw(0.01, weight_decay=0.1, mask=matrices if masked else None)
    result = check(jax_step(tx), tx, torch_step, partial(adamw, biases=biases), tiers=BOTH)
    if masked is not biases:
        assert result.status == "pass"
    else:
        said = "Flax does not decay 0.bias, 2.bias" if masked else "Flax decays 0.bias, 2.bias, PyTorch does not"
        named(result, "weight-decay-mask", said)


@pytest.mark.parametrize("offset", [0, 1, -1])
def test_schedules(offset):
    model = net()
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    tx = optax.sgd(lambda count: 0.1 * 0.5 ** jnp.maximum(count + offset, 0))
    result = check(jax_step(tx), tx, partial(torch_step, scheduler=scheduler), lambda _: optimizer, model)
    if offset:
        step = 1 if offset > 0 else 2
        said = "rate of step 1 is that of step 2" if offset > 0 else "rate of step 2 is that of step 1"
        named(result, "learning-rate-count", said, step=step)
    else:
        assert result.status == "pass"
    assert optimizer.param_groups[0]["lr"] == 0.1 and scheduler.last_epoch == 0


@pytest.mark.slow
def test_a_schedule_that_starts_at_0():
    model = net()
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda count: (count + 1) / 4)
    tx = optax.sgd(lambda count: 0.1 * count / 4)
    result = check(jax_step(tx), tx, partial(torch_step, scheduler=scheduler), lambda _: optimizer, model)
    named(result, "learning-rate-count", "rate of step 1 is 0, PyTorch's 0.025", "rate of step 2 is that of step 1")


def scheduled_first(model, optimizer, batch, scheduler):
    scheduler.step()
    return torch_step(model, optimizer, batch)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_a_scheduler_that_steps_before_the_first_update():
    model = net()
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    tx = optax.sgd(lambda count: 0.1 * 0.5**count)
    result = check(jax_step(tx), tx, partial(scheduled_first, scheduler=scheduler), lambda _: optimizer, model)
    named(
        result, "learning-rate-count", "rate of step 1 is 0.1, with which PyTorch's schedule begins, in place of 0.05"
    )


class Lion(torch.optim.Optimizer):
    """Steps along the sign of an average, which hides the size of the gradient."""

    def __init__(self, model):
        super().__init__(model.parameters(), {"lr": 0.01, "betas": (0.9, 0.99)})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                average = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                p -= group["lr"] * torch.sign(average.lerp(p.grad, 1 - group["betas"][0]))
                average.lerp_(p.grad, 1 - group["betas"][1])


LIONS = [
    (optax.lion(0.01, 0.9, 0.99, weight_decay=0.0), "", ""),
    (optax.lion(0.01, 0.9, 0.98, weight_decay=0.0), "betas", "decays by 0.98, PyTorch's by 0.99"),
    (optax.chain(optax.scale(2.0), optax.lion(0.01, 0.9, 0.99, weight_decay=0.0)), "gradient-scale", "is 2 times"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("tx", "cause", "text"), LIONS, ids=["right", "decay", "another gradient"])
def test_an_average_behind_a_sign(tx, cause, text):
    result = check(jax_step(tx), tx, torch_step, Lion)
    assert result.status == ("fail" if cause else "pass")
    if cause:
        named(result, cause, text)


def test_averages_that_one_side_has_alone():
    tx = optax.sgd(0.1)
    result = check(jax_step(tx), tx, torch_step, sgd, more={"ema": params()})
    assert result.status == "pass" and "an averaged copy" in result.skipped["ema"]
    model = net()
    with pytest.raises(InputError, match="jax_state has none"):
        check(jax_step(tx), tx, torch_step, sgd, model, torch_state={"ema": AveragedModel(model)})


AVERAGED = [
    (lambda e, p, new: 0.9 * e + 0.1 * new, "", ""),
    (lambda e, p, new: 0.99 * e + 0.01 * new, "ema-decay", "0.99 in Flax, 0.9 in PyTorch"),
    (lambda e, p, new: 0.1 * e + 0.9 * new, "ema-decay", "0.1 in Flax, 0.9 in PyTorch"),
    (lambda e, p, new: 0.9 * e + 0.1 * p, "ema-before-update", "before the update"),
    (lambda e, p, new: e, "ema-missing", "stays as it was"),
    (lambda e, p, new: new, "ema-decay", "0 in Flax"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "cause", "text"), AVERAGED)
def test_averages(rule, cause, text):
    model = net()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    average.n_averaged.fill_(1)  # the first update averages, too

    def theirs(model, optimizer, batch):
        loss = torch_step(model, optimizer, batch)
        average.update_parameters(model)
        return loss

    tx = optax.adam(0.01)
    step = jax_step(
        tx, after=lambda state, new: {"ema": jax.tree.map(rule, state["ema"], state["params"], new["params"])}
    )
    result = check(step, tx, theirs, adam, model, more={"ema": params()}, torch_state={"ema": average})
    if not cause:
        assert result.status == "pass"
        assert any(row.key.slot == "ema" for row in result.rows["float64"])
    else:
        named(result, cause, text)
    assert average.n_averaged == 1


@pytest.mark.parametrize("before", [False, True])
def test_an_average_of_the_weights_before_an_update_or_after_it(before):
    first, last = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    steps = [Moved(first, first, first, first, last), Moved(first, first, first, last, 2 * first)]
    averages = [0.9 * step.old + 0.1 * (step.first if before else step.last) for step in steps]
    assert rule_of(steps, averages) == (before, pytest.approx([1.0 if before else 0.9, 0.9]))
    assert rule_of(steps, [average + first for average in averages]) is None


@pytest.mark.slow
@pytest.mark.parametrize(("before", "cause"), [(True, ""), (False, "ema-before-update")])
def test_an_average_that_pytorch_makes_before_the_update(before, cause):
    model = net()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    average.n_averaged.fill_(1)

    def theirs(model, optimizer, batch):
        average.update_parameters(model)
        return torch_step(model, optimizer, batch)

    def after(state, new):
        weights = state["params"] if before else new["params"]
        return {"ema": jax.tree.map(lambda e, p: 0.9 * e + 0.1 * p, state["ema"], weights)}

    tx = optax.sgd(0.1)
    result = check(
        jax_step(tx, after=after), tx, theirs, sgd, model, more={"ema": params()}, torch_state={"ema": average}
    )
    assert result.status == ("fail" if cause else "pass"), result.blame
    if cause:
        named(result, cause, "from after the update, PyTorch those before")


@pytest.mark.slow
def test_average_with_bias_correction():
    model = net()
    shadow = {name: p.detach().clone() for name, p in model.named_parameters()}

    def theirs(model, optimizer, batch):
        loss = torch_step(model, optimizer, batch)
        with torch.no_grad():
            for name, p in model.named_parameters():
                shadow[name].mul_(0.9).add_(p, alpha=0.1)
        return loss

    tx = optax.sgd(0.1)

    def after(state, new):
        count = state["step"] + 1
        average = jax.tree.map(lambda e, p: (0.9 * e + 0.1 * p) / (1 - 0.9**count), state["ema"], new["params"])
        return {"ema": average, "step": count}

    result = check(jax_step(tx, after=after), tx, theirs, sgd, model, more={"ema": params()}, torch_state={"s": shadow})
    named(result, "ema-bias-correction", "1 - decay^t")


def test_options_are_found_beside_a_scheduler():
    def scheduled(model):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.85)
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda number: 1.0)  # it binds the optimiser's `step`
        return optimizer

    tx = optax.sgd(0.1, momentum=0.9)
    named(check(jax_step(tx), tx, torch_step, scheduled), "momentum", "is 0.9, PyTorch's 0.85", step=2)
