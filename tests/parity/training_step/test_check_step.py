"""Plain states, whose map names and the step itself decide, steps of any form, and calls that are refused."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from step_batches import EXACT, TABLES, deep, loss_of
from torch.nn.functional import cross_entropy
from training_steps import named, torch_step

import parity
from d2l_jax.errors import InputError
from parity.training_step.by_name import spelt
from parity.training_step.jax_state import JaxState
from parity.training_step.roles import roles_of
from parity.training_step.settled import without_rounding


def table_step(params, opt_state, batch, tx, forward):
    loss, grads = jax.value_and_grad(lambda params: loss_of(forward(params, batch[0]), batch[1]))(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, loss


def listed(params, x):
    for W, b in params[:-1]:
        x = jnp.tanh(W @ x.T + b[:, None]).T
    W, b = params[-1]
    return x @ W.T + b


def crossed(params, x):
    x = jnp.tanh(x @ params["zebra"] + params["b_zebra"])
    x = jnp.tanh(x @ params["apple"] + params["b_apple"])
    return x @ params["mule"] + params["b_mule"]


def plain_lists():
    return [(np.zeros((6, 6), np.float32), np.zeros(6, np.float32)) for _ in range(2)] + [
        (np.zeros((3, 6), np.float32), np.zeros(3, np.float32))
    ]


def plain_names():
    shapes = {"apple": (6, 6), "zebra": (6, 6), "mule": (6, 3)}
    whole = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return whole | {f"b_{name}": np.zeros(shape[1], np.float32) for name, shape in shapes.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("forward", "params"), [(listed, plain_lists()), (crossed, plain_names())])
def test_names_that_say_nothing_are_settled_by_the_step(forward, params):
    tx = optax.adamw(0.01)
    theirs = deep()
    step = jax.jit(partial(table_step, tx=tx, forward=forward))
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=1e-4)
    result = parity.check_step(step, (params, tx.init(params)), torch_step, theirs, optimizer, TABLES)
    assert result.status == "pass", result.blame


def test_an_update_that_is_mere_rounding_points_nowhere():
    some, few = np.ones(3), 1e-12 * np.ones(2)
    kept, gone = without_rounding([some, few])
    assert kept.all() and not gone.any() and without_rounding([few])[0].all()  # small beside others alone


def numbered(params, x):
    for number in range(2):
        x = jnp.tanh(x @ params[f"layer{number}"]["kernel"] + params[f"layer{number}"]["bias"])
    return x @ params["layer2"]["kernel"] + params["layer2"]["bias"]


@pytest.mark.slow
def test_wrong_gradients_do_not_exchange_weights():
    layer = lambda out: {"kernel": np.zeros((6, out), np.float32), "bias": np.zeros(out, np.float32)}  # noqa: E731
    params = {f"layer{number}": layer(out) for number, out in enumerate((6, 6, 3))}
    tx = optax.sgd(0.1)
    step = jax.jit(partial(table_step, tx=tx, forward=lambda params, x: -3 * numbered(params, x)))
    theirs = deep()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    result = parity.check_step(step, (params, tx.init(params)), torch_step, theirs, optimizer, TABLES[:1], tiers=EXACT)
    assert result.status == "fail"
    assert [leaf.path[-2] for leaf in result.weights] == [f"layer{number}" for number in (0, 0, 1, 1, 2, 2)]


def test_names_that_are_spelt_alike_are_never_exchanged():
    where = {"re": ("params", "re"), "im": ("params", "imag"), "0.weight": ("params", 0, "w")}
    leaves: Any = [SimpleNamespace(key=key, path=path) for key, path in where.items()]
    assert spelt(leaves) == {"re"}  # a number may count other layers, too
    assert spelt([leaves[0], leaves[2]]) == {"re", "0.weight"}


def test_random_streams_within_a_module_are_no_state_of_optax():
    state = JaxState((nnx.Dropout(0.5, rngs=nnx.Rngs(0)), nnx.Linear(2, 3, rngs=nnx.Rngs(0))))
    assert not roles_of(state).parts


@pytest.mark.slow
def test_weights_may_be_told():
    tx = optax.sgd(0.1)
    params = plain_names()
    step = partial(table_step, tx=tx, forward=crossed)
    names = {"0": "zebra", "2": "apple", "4": "mule"}
    weights = {f"{key}.weight": name for key, name in names.items()}
    weights |= {f"{key}.bias": f"b_{name}" for key, name in names.items()}
    theirs = deep()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    check = partial(
        parity.check_step, step, (params, tx.init(params)), torch_step, theirs, optimizer, TABLES, tiers=EXACT
    )
    first = check(weights=weights)
    assert first.status == "pass", first.blame
    assert check(weights=first.weights).status == "pass"
    swapped = weights | {"0.bias": "b_apple", "2.bias": "b_zebra"}
    assert check(weights=swapped).status == "fail"
    with pytest.raises(InputError, match="where jax_state has nothing"):
        check(weights={"0.weight": "horse"})


def test_a_returned_loss_alone():
    tx = optax.sgd(0.1)

    def step(params, opt_state, batch):
        params, opt_state, loss = table_step(params, opt_state, batch, tx, listed)
        return params, opt_state, 2 * loss

    theirs = deep()
    params = plain_lists()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    result = parity.check_step(step, (params, tx.init(params)), torch_step, theirs, optimizer, TABLES, tiers=EXACT)
    named(result, "returned-loss", "2 times that")


def test_another_forward_pass_is_told_from_another_update():
    tx = optax.sgd(0.1)
    params = plain_lists()
    step = partial(table_step, tx=tx, forward=lambda params, x: listed(params, jnp.maximum(x, 0)))
    theirs = deep()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    result = parity.check_step(step, (params, tx.init(params)), torch_step, theirs, optimizer, TABLES, tiers=EXACT)
    named(result, "", "the model or the loss computes something else")


@pytest.mark.slow
def test_a_grad_scaler_and_a_counter_in_the_closure():
    tx = optax.adam(0.01)
    params = plain_lists()
    theirs = deep()
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    calls = 0

    def step(model, optimizer, batch):
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        loss = cross_entropy(model(batch[0]), batch[1])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss * (1 if calls < 4 else 7)

    ours = jax.jit(partial(table_step, tx=tx, forward=listed))
    result = parity.check_step(ours, (params, tx.init(params)), step, theirs, optimizer, TABLES)
    assert result.status == "pass", result.blame
    assert calls == 0 and scaler.get_scale() == 1024.0


@pytest.mark.slow
def test_a_step_that_looks_at_its_numbers_and_one_with_float32_written_out():
    tx = optax.sgd(0.1)
    params = plain_lists()

    def step(params, opt_state, batch):
        x = jnp.asarray(batch[0], jnp.float32)
        params, opt_state, loss = table_step(params, opt_state, (x, batch[1]), tx, listed)
        return params, opt_state, loss.astype(jnp.float32)

    def looking(params, opt_state, batch):
        params, opt_state, loss = table_step(params, opt_state, batch, tx, listed)
        return params, opt_state, float(loss)

    for each in (step, looking):
        theirs = deep()
        optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
        result = parity.check_step(each, (params, tx.init(params)), torch_step, theirs, optimizer, TABLES)
        assert result.status == "pass" and not result.skipped, result.blame


def test_momentum_that_optax_keeps_in_units_of_the_rate():
    tx = optax.rmsprop(0.01, decay=0.99, eps_in_sqrt=False, momentum=0.9)
    params = plain_lists()
    theirs = deep()
    optimizer = torch.optim.RMSprop(theirs.parameters(), lr=0.01, momentum=0.9)
    step = jax.jit(partial(table_step, tx=tx, forward=listed))
    result = parity.check_step(step, (params, tx.init(params)), torch_step, theirs, optimizer, TABLES, tiers=EXACT)
    assert result.status == "pass", result.blame
    assert any(row.key.slot == "momentum_buffer" for row in result.rows["float64"])


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "passes"), [(lambda lam: lam, True), (lambda lam: 1 - lam, False)])
def test_a_single_number_of_float32_in_a_batch_is_the_same_on_both_sides(weight, passes):
    batches = [(x, y, np.float32(0.3)) for x, y in TABLES]
    tx = optax.sgd(0.1)
    params = plain_lists()
    theirs = deep()

    def step(params, opt_state, batch):
        x, y, lam = batch
        return table_step(params, opt_state, (weight(lam) * x, y), tx, listed)

    def torch_weighted(model, optimizer, batch):
        return torch_step(model, optimizer, (batch[2] * batch[0], batch[1]))

    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    result = parity.check_step(step, (params, tx.init(params)), torch_weighted, theirs, optimizer, batches, tiers=EXACT)
    assert (result.status == "pass") is passes, result.blame
