"""Calls that are refused in one line, and random numbers that both steps are given."""

from functools import partial

import numpy as np
import optax
import pytest
import torch
from flax import nnx
from step_batches import EXACT, TABLES, deep, loss_of
from training_steps import torch_step

import parity
from d2l_jax.errors import InputError


def plain_names():
    shapes = {"apple": (6, 6), "zebra": (6, 6), "mule": (6, 3)}
    whole = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return whole | {f"b_{name}": np.zeros(shape[1], np.float32) for name, shape in shapes.items()}


WRONG = [
    ({"batches": []}, "a batch for each step"),
    ({"jax_step": 3}, "jax_step is a int"),
    ({"torch_optimizer": 3}, "torch_optimizer is a int"),
    ({"torch_model": 3}, "torch_model is a int"),
    ({"tiers": ("float16",)}, "cannot be compared"),
    ({"jax_step": lambda state, batch: 1.0}, "returned no state"),
    ({"torch_step": lambda model, optimizer, batch: model(batch)}, "torch_step does not run on the first batch"),
    ({"jax_step": lambda state, batch: state["horse"]}, "jax_step does not run on the first batch"),
    ({"torch_model": torch.nn.Linear(2, 2)}, "do not hold the same tensors"),
    ({"torch_batches": TABLES[:1]}, "torch_batches 1"),
    ({"batches": [(np.full((9, 6), np.nan, np.float32), TABLES[0][1])]}, "NaN"),
]


@pytest.mark.parametrize(("options", "text"), WRONG)
def test_a_wrong_call_is_refused_in_one_line(options, text):
    theirs = deep()
    params = plain_names()
    right = {
        "jax_step": lambda state, batch: state,
        "jax_state": {"params": params},
        "torch_step": lambda model, optimizer, batch: None,
        "torch_model": theirs,
        "torch_optimizer": torch.optim.SGD(theirs.parameters(), lr=0.1),
        "batches": TABLES,
    }
    with pytest.raises(InputError) as error:
        parity.check_step(**(right | options))
    assert text in str(error.value) and "\n" not in str(error.value)


def test_a_step_that_is_not_repeatable_is_refused():
    theirs = deep()
    noise = iter(range(1000))

    def step(model, optimizer, batch):
        with torch.no_grad():
            model[0].bias.add_(next(noise))

    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    with pytest.raises(InputError, match="not repeatable"):
        parity.check_step(lambda state, batch: state, {"params": plain_names()}, step, theirs, optimizer, TABLES)


class DropNet(nnx.Module):
    def __init__(self, rngs, rate=0.5):
        self.first = nnx.Linear(6, 8, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.last = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(nnx.relu(self.first(x))))


class TorchDropNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 8)
        self.drop = torch.nn.Dropout(0.5)
        self.last = torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.drop(torch.relu(self.first(x))))


@nnx.jit
def nnx_step(model, optimizer, batch):
    x, y = batch
    loss, grads = nnx.value_and_grad(lambda model: loss_of(model(x), y))(model)
    optimizer.update(model, grads)
    return loss


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.5, 0.4, 0.0])
def test_dropout_is_given_the_same_random_numbers(rate):
    torch.manual_seed(0)
    theirs = TorchDropNet()
    model = DropNet(nnx.Rngs(0), rate)
    state = (model, nnx.Optimizer(model, optax.adam(0.01), wrt=nnx.Param))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    check = partial(parity.check_step, nnx_step, state, torch_step, theirs, optimizer, TABLES[:2])
    if rate == 0.5:
        result = check()
        assert result.status == "pass", result.blame
    elif rate:
        assert check(tiers=EXACT).status == "fail"
    else:
        with pytest.raises(InputError, match="random numbers differ: PyTorch draws uniform"):
            check()
