"""Parameter groups, the state's names, and calls that are wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from d2l_jax import losses, optim, supervised
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from d2l_jax.functional import parts
from d2l_jax.train import TrainState, checkpoint, step

PARAMS = {"fc": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}, "norm": {"scale": jnp.ones(3)}}
FACTORIES = ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "Adadelta"]


def updates_of(tx, grads=None):
    grads = jax.tree.map(jnp.zeros_like, PARAMS) if grads is None else grads
    return tx.update(grads, tx.init(PARAMS), PARAMS)[0]


def test_groups_know_pytorchs_names():
    updates = updates_of(optim.SGD(0.1, weight_decay=1.0, groups={"weight": {"weight_decay": 0.0}}))
    assert not updates["fc"]["kernel"].any() and not updates["norm"]["scale"].any()
    assert updates["fc"]["bias"].all()


def test_the_first_group_that_fits_wins():
    groups = {"fc.weight": {"weight_decay": 2.0}, "weight": {"lr": 0.5}}
    updates = updates_of(optim.SGD(0.1, weight_decay=1.0, groups=groups))
    assert [float(u[0]) for u in jax.tree.leaves(updates)] == pytest.approx([-0.1, -0.2, -0.5])


def test_a_group_may_have_a_schedule_of_its_own():
    tx = optim.SGD(0.1, groups={"bias": {"lr": optim.StepLR(1.0, 1, 0.5)}})
    state = tx.init(PARAMS)
    seen = []
    for _ in range(3):
        updates, state = tx.update(PARAMS, state, PARAMS)
        seen.append((float(updates["fc"]["bias"][0]), float(updates["fc"]["kernel"][0])))
    np.testing.assert_allclose(seen, [(-1, -0.1), (-0.5, -0.1), (-0.25, -0.1)])


def test_links_work_alone_in_a_chain():
    groups = {"bias": {"weight_decay": 0.0}}
    chain = optax.chain(
        optim.scale_by_adam((0.9, 0.999), 1e-8), optim.add_decayed_weights(0.1, groups), optim.scale_by_rate(0.5)
    )
    whole = optim.AdamW(0.5, weight_decay=0.1, groups=groups)
    for a, b in zip(jax.tree.leaves(updates_of(chain, PARAMS)), jax.tree.leaves(updates_of(whole, PARAMS))):
        np.testing.assert_array_equal(a, b)


def fields(tx):
    """The fields of every named tuple in the state."""
    named = jax.tree.leaves(tx.init(PARAMS), is_leaf=lambda node: hasattr(node, "_fields"))
    return {field for node in named for field in getattr(node, "_fields", ())}


SLOTS = [
    (optim.SGD(0.1), set()),
    (optim.SGD(optim.StepLR(0.1, 2), 0.9, 0.5), {"momentum_buffer"}),
    (optim.Adam(), {"step", "exp_avg", "exp_avg_sq"}),
    (optim.AdamW(amsgrad=True), {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}),
    (optim.Adagrad(), {"step", "sum"}),
    (optim.RMSprop(), {"step", "square_avg"}),
    (optim.RMSprop(momentum=0.9, centered=True), {"step", "square_avg", "grad_avg", "momentum_buffer"}),
    (optim.Adadelta(), {"step", "square_avg", "acc_delta"}),
]


@pytest.mark.parametrize("tx, names", SLOTS, ids=[", ".join(sorted(names)) for _, names in SLOTS])
def test_the_fields_of_the_state_are_pytorchs_slots(tx, names):
    assert fields(tx) == names


def test_what_pytorch_would_not_keep_is_not_kept():
    tx = optim.Adam(groups={"bias": {"amsgrad": True}})
    largest = tx.init(PARAMS)[2].max_exp_avg_sq
    assert len(jax.tree.leaves(largest)) == 1 and largest["fc"]["kernel"] is None


@pytest.mark.slow
def test_a_checkpoint_keeps_every_kind_of_state(tmp_path):
    groups = {"0.bias": {"momentum": 0.0}, "weight": {"centered": True}}
    for tx in (
        optim.RMSprop(optim.StepLR(0.1, 2), momentum=0.9, groups=groups),
        optax.chain(optim.clip_gradients(1.0), optim.SGD(momentum=0.9, dampening=0.5)),
    ):
        case = get("sequential-mlp")
        model = case.build()
        turns = supervised(losses.mse, tx)
        start = TrainState.create(model, turns)
        batch = {"input": jnp.ones((2, 20), "float32"), "targets": jnp.ones((2, 10), "float32")}
        state, _ = step(parts(model).run, turns, start, batch)
        checkpoint.save(tmp_path, 0, state, {"settings": {}})
        restored = checkpoint.restore(tmp_path, 0, start).state
        assert jax.tree.structure(restored) == jax.tree.structure(state)
        for a, b in zip(jax.tree.leaves(restored.opt_state), jax.tree.leaves(state.opt_state)):
            assert a.dtype == b.dtype and np.array_equal(a, b)


def test_a_rate_may_be_traced():
    def step(lr):
        return updates_of(optim.SGD(lr, momentum=0.9), PARAMS)

    np.testing.assert_allclose(jax.jit(step)(0.25)["fc"]["bias"], -0.25)


@pytest.mark.parametrize("name", FACTORIES)
def test_bfloat16_stays_bfloat16(name):
    params = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
    tx = getattr(optim, name)(optim.StepLR(0.1, 2), weight_decay=0.1)
    state = tx.init(params)
    updates, after = tx.update(params, state, params)
    assert {u.dtype for u in jax.tree.leaves(updates)} == {jnp.dtype(jnp.bfloat16)}
    assert [a.dtype for a in jax.tree.leaves(after)] == [a.dtype for a in jax.tree.leaves(state)]


# (factory, options, what the line says, whether PyTorch refuses it too)
REFUSED = [
    ("SGD", dict(lr=-0.1), "lr is -0.1 where a number >= 0 is right", True),
    ("SGD", dict(lr=float("nan")), "lr is nan where a number >= 0 is right", False),
    ("SGD", dict(momentum=-1), "momentum is -1 where a number >= 0 is right", True),
    ("SGD", dict(weight_decay=-1.0), "weight_decay is -1.0 where a number >= 0 is right", True),
    (
        "SGD",
        dict(nesterov=True),
        "nesterov with momentum 0.0 and dampening 0.0 where a momentum > 0 and no dampening are right",
        True,
    ),
    (
        "SGD",
        dict(nesterov=True, momentum=0.9, dampening=0.1),
        "nesterov with momentum 0.9 and dampening 0.1 where a momentum > 0 and no dampening are right",
        True,
    ),
    ("Adam", dict(betas=(0.9, 1.0)), "betas is (0.9, 1.0) where a pair of numbers in [0, 1) is right", True),
    ("Adam", dict(eps=-1.0), "eps is -1.0 where a number >= 0 is right", True),
    ("AdamW", dict(weight_decay=-1.0), "weight_decay is -1.0 where a number >= 0 is right", True),
    ("Adagrad", dict(lr_decay=-1.0), "lr_decay is -1.0 where a number >= 0 is right", True),
    (
        "Adagrad",
        dict(initial_accumulator_value=-1.0),
        "initial_accumulator_value is -1.0 where a number >= 0 is right",
        True,
    ),
    ("RMSprop", dict(alpha=-0.1), "alpha is -0.1 where a number >= 0 is right", True),
    ("RMSprop", dict(momentum=-0.1), "momentum is -0.1 where a number >= 0 is right", True),
    ("Adadelta", dict(rho=1.1), "rho is 1.1 where a number in [0, 1] is right", True),
]


@pytest.mark.parametrize("name, options, line, torch_too", REFUSED, ids=str)
def test_a_wrong_option_says_what_is_right(name, options, line, torch_too):
    with pytest.raises(InputError) as error:
        getattr(optim, name)(**options)
    assert str(error.value) == line
    if torch_too:
        with pytest.raises(ValueError):
            getattr(torch.optim, name)([torch.zeros(1)], **options)


@pytest.mark.parametrize("name", FACTORIES)
def test_an_unknown_option_of_a_group(name):
    with pytest.raises(InputError, match="unknown option 'learning_rate' of group 'bias'; known: lr, "):
        getattr(optim, name)(groups={"bias": {"learning_rate": 0.1}})


def test_an_option_of_another_algorithm_is_unknown():
    for option in ("dampening", "nesterov"):
        with pytest.raises(InputError, match=f"unknown option {option!r} of group 'bias'"):
            optim.RMSprop(groups={"bias": {option: 0.5}})


@pytest.mark.parametrize("name", FACTORIES)
def test_a_group_that_fits_nothing(name):
    tx = getattr(optim, name)(groups={"bais": {"lr": 0.1}})
    with pytest.raises(
        InputError, match="group 'bais' fits no parameter .*; parameters: fc.bias, fc.weight, norm.weight"
    ):
        tx.init(PARAMS)


def test_a_group_behind_one_that_takes_all():
    with pytest.raises(InputError, match="group 'fc.weight' fits no parameter that no earlier group has"):
        optim.SGD(groups={"weight": {"lr": 0.1}, "fc.weight": {"lr": 0.2}}).init(PARAMS)


def test_a_wrong_value_in_a_group():
    with pytest.raises(InputError, match="lr of group 'bias' is -1 where a number >= 0 is right"):
        optim.SGD(groups={"bias": {"lr": -1}})
    with pytest.raises(InputError, match="initial_accumulator_value differs by group"):
        optim.Adagrad(groups={"bias": {"initial_accumulator_value": 1.0}})


def test_a_group_may_switch_nesterov_momentum_off_but_not_dampen_it():
    optim.SGD(momentum=0.9, nesterov=True, groups={"bias": {"momentum": 0.0}})
    with pytest.raises(InputError, match="nesterov with momentum 0.9 and dampening 0.5"):
        optim.SGD(momentum=0.9, nesterov=True, groups={"bias": {"dampening": 0.5}})


def test_decay_without_the_parameters():
    tx = optim.SGD(weight_decay=0.1)
    with pytest.raises(ValueError, match="weight decay needs the parameters"):
        tx.update(PARAMS, tx.init(PARAMS))
