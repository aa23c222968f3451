"""Parameters beyond those of one optimiser: equal nets, nets of plain gradient descent, references, a single number."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from step_batches import EXACT
from torch.nn.functional import mse_loss

import parity
from parity.training_step.homes import homes_of
from parity.training_step.named_tensors import frozen_copies
from parity.training_step.views import with_parameters, without_children

random = np.random.default_rng(0)
BATCHES = [tuple(random.normal(size=(6, size)).astype(np.float32) for size in (4, 3)) for _ in range(2)]


def dense(fan_in=4, fan_out=3):
    return {"kernel": jnp.zeros((fan_in, fan_out)), "bias": jnp.zeros(fan_out)}


def line(params, x):
    return x @ params["kernel"] + params["bias"]


def moved(tx, loss, params, opt):
    updates, opt = tx.update(jax.grad(loss)(params), opt, params)
    return optax.apply_updates(params, updates), opt


def in_turn(tx_of):
    """Gives a step of two nets, the second of which learns what the first leaves, over (net, net, state, state)."""

    def step(first, second, one, other, batch):
        x, y = batch
        first, one = moved(tx_of[0], lambda p: ((line(p, x) - y) ** 2).mean(), first, one)
        rest = y - line(first, x)
        second, other = moved(tx_of[1], lambda p: ((line(p, x) - rest) ** 2).mean(), second, other)
        return first, second, one, other

    return step


def torch_in_turn(models, optimizers, batch):
    x, y = batch
    rest = y
    for model, optimizer in zip(models, optimizers, strict=True):
        optimizer.zero_grad()
        mse_loss(model(x), rest).backward()
        optimizer.step()
        rest = (y - model(x)).detach()


@pytest.mark.parametrize("rate, status", [(0.1, "pass"), (0.2, "fail")])
@pytest.mark.parametrize("kinds", [(optax.adam, torch.optim.Adam), (optax.sgd, torch.optim.SGD)])
def test_equal_nets_are_found_in_their_order(kinds, rate, status):
    torch.manual_seed(0)
    models = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    optimizers = tuple(kinds[1](model.parameters(), lr=0.1) for model in models)
    txs = kinds[0](0.1), kinds[0](rate)
    state = dense(), dense(), *(tx.init(dense()) for tx in txs)
    result = parity.check_step(in_turn(txs), state, torch_in_turn, models, optimizers, BATCHES[:1], tiers=EXACT)
    assert result.status == status, result.blame
    assert {leaf.key: leaf.path[0] for leaf in result.weights}["1.weight"] == 1
    if status == "fail":
        assert "the update of 1." in result.blame.text and "0.2" in result.blame.text


@pytest.mark.parametrize("factor, status", [(4.0, "pass"), (1.0, "fail")])
def test_a_reference_of_another_shape_is_copied_into_the_state(factor, status):
    torch.manual_seed(0)
    models = torch.nn.Linear(4, 3), torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    optimizer = torch.optim.Adam(models[0].parameters(), lr=0.1)
    tx = optax.adam(0.1)

    def step(params, teacher, opt, batch):
        x, y = batch
        target = line(teacher["out"], jnp.tanh(line(teacher["in"], x)))
        loss = lambda p: ((line(p, x) - y) ** 2).mean() + factor * ((line(p, x) - target) ** 2).mean()  # noqa: E731
        params, opt = moved(tx, loss, params, opt)
        return params, teacher, opt

    def torch_step(models, optimizer, batch):
        student, teacher = models
        x, y = batch
        with torch.no_grad():
            target = teacher(x)
        optimizer.zero_grad()
        (mse_loss(student(x), y) + 4 * mse_loss(student(x), target)).backward()
        optimizer.step()

    state = dense(), {"in": dense(4, 5), "out": dense(5, 3)}, tx.init(dense())
    result = parity.check_step(step, state, torch_step, models, optimizer, BATCHES[:1], tiers=EXACT)
    assert result.status == status, result.blame
    assert {leaf.key: leaf.path for leaf in result.weights}["1.2.weight"] == (1, "out", "kernel")


@pytest.mark.parametrize("rate, status", [(0.1, "pass"), (0.3, "fail")])
def test_a_number_that_only_an_optimizer_holds_is_copied_and_compared(rate, status):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    scale = torch.tensor(float(np.log(0.2)), requires_grad=True)
    optimizers = torch.optim.Adam(model.parameters(), lr=0.1), torch.optim.Adam([scale], lr=0.1)
    txs = {"net": optax.adam(0.1), "log_scale": optax.adam(rate)}
    params = {"net": dense(), "log_scale": jnp.zeros(())}

    def step(state, batch):
        x, y = batch
        loss = lambda p: ((jnp.exp(p["log_scale"]) * line(p["net"], x) - y) ** 2).mean()  # noqa: E731
        grads = jax.grad(loss)({name: state[name] for name in txs})
        new = {}
        for name, tx in txs.items():
            updates, new[f"{name}_opt"] = tx.update(grads[name], state[f"{name}_opt"])
            new[name] = optax.apply_updates(state[name], updates)
        return new

    def torch_step(model, optimizers, batch):
        for optimizer in optimizers:
            optimizer.zero_grad()
        mse_loss(scale.exp() * model(batch[0]), batch[1]).backward()
        for optimizer in optimizers:
            optimizer.step()

    state = params | {f"{name}_opt": tx.init(params[name]) for name, tx in txs.items()}
    result = parity.check_step(step, state, torch_step, model, optimizers, BATCHES, tiers=EXACT)
    assert result.status == status, result.blame
    compared = {(row.key.phase, row.key.slot) for row in result.rows["float64"] if row.key.tensor == "scale"}
    assert {("update", ""), ("optimizer", "exp_avg"), ("optimizer", "exp_avg_sq")} <= compared
    assert scale.item() == pytest.approx(np.log(0.2)) and not dict(model.named_parameters()).keys() & {"scale"}
    if status == "fail":
        assert "the update of scale" in result.blame.text and "0.3" in result.blame.text


def test_what_no_optimizer_moves_is_a_copy_also_where_it_has_gradients():
    net = torch.nn.ModuleDict({"q": torch.nn.Linear(4, 3), "target": torch.nn.Linear(4, 3)})
    moved = {id(parameter) for parameter in net["q"].parameters()}
    assert list(frozen_copies(net, moved)) == ["target"]
    assert not frozen_copies(net, {id(parameter) for parameter in net.parameters()})


def test_a_view_leaves_the_model_as_it_is():
    net = torch.nn.ModuleDict({"q": torch.nn.Linear(4, 3), "target": torch.nn.Linear(4, 3)})
    more = with_parameters(without_children(net, {"target"}), {"scale": torch.zeros(())})
    assert list(dict(more.named_parameters())) == ["scale", "q.weight", "q.bias"]
    assert more["q"] is net["q"] and len(net.state_dict()) == 4


def test_the_states_of_one_optimizer_move_one_net():
    numbers = {(net, "w"): np.zeros(3) for net in range(2)}
    chained = {place: {("w",): np.zeros(3)} for place in ((2, 0), (2, 1), (3, 0), (3, 1))}
    assert homes_of(chained, numbers) == {}  # one net fits all
    assert homes_of(chained, numbers, apart=True) == {place: (place[0] - 2,) for place in chained}
