"""Calls that are refused in one line, and random numbers that both steps are given."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from jax.experimental.sparse import BCOO
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
    ({"batches": [(BCOO.fromdense(jnp.eye(9, 6)), TABLES[0][1])]}, "batches hold a sparse BCOO; x.todense() is right"),
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
    def __init__(self, rate=0.5):
        super().__init__()
        self.first = torch.nn.Linear(6, 8)
        self.drop = torch.nn.Dropout(rate)
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
@pytest.mark.parametrize("rate", [0.5, 0.4])
def test_dropout_is_given_the_same_random_numbers(rate):
    result = dropped(DropNet(nnx.Rngs(0), rate), TorchDropNet(), batches=2)
    assert result.status == ("pass" if rate == 0.5 else "fail"), result.blame


def dropped(model, theirs, rate=0.01, batches=1):
    state = (model, nnx.Optimizer(model, optax.sgd(rate), wrt=nnx.Param))
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.01)
    return parity.check_step(nnx_step, state, torch_step, theirs, optimizer, TABLES[:batches], tiers=EXACT)


@pytest.mark.parametrize(("flax", "pytorch"), [pytest.param(0.0, 0.5, marks=pytest.mark.slow), (0.5, 0.0)])
def test_dropout_of_one_side_alone_is_left_out_and_named_by_its_line(flax, pytorch):
    result = dropped(DropNet(nnx.Rngs(0), flax), TorchDropNet(pytorch))
    wrong = [row.key.tensor for row in result.rows["float64"] if not row.passed]
    assert wrong == ["dropout" if pytorch else "dropout in Flax"]
    assert result.blame and result.blame.text.startswith("`self.drop(")
    assert f"{'PyTorch' if pytorch else 'Flax'} drops numbers in training" in result.blame.text


def test_control_a_fault_beside_a_dropout_of_one_side_alone_is_told_first():
    result = dropped(DropNet(nnx.Rngs(0), 0.5), TorchDropNet(0.0), rate=0.02)
    assert result.blame and "learning rate" in result.blame.text.partition("also wrong")[0]
    assert "Flax drops numbers" in result.blame.text.partition("also wrong")[2]


class TwiceDropNet(DropNet):
    def __call__(self, x):
        return self.last(self.drop(self.drop(nnx.relu(self.first(x)))))


def test_control_which_of_two_like_calls_is_one_too_many_is_open():
    with pytest.raises(InputError, match="random numbers differ"):
        dropped(TwiceDropNet(nnx.Rngs(0)), TorchDropNet())
