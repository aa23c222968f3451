"""Negative controls of the optimisers: plausible mistakes, each noticed."""

import jax
import jax.numpy as jnp
import optax
import pytest
from optim_runs import SHAPES, error, float32_run, jax_run, largest_gap, largest_gap_of_an_update, make, torch_run

from d2l_jax import optim


@pytest.mark.usefixtures("promoting")  # as Optax does
def test_control_the_float32_error_of_optax_is_noticed():
    """Optax's bias correction in float32 loses four digits of 1 - 0.999**count."""
    exact = list(torch_run("Adam", dict(lr=0.01)))
    theirs = error(list(torch_run("Adam", dict(lr=0.01), "float32")), exact)
    ours = error(float32_run(optax.adam(0.01)), [{k: e[k] for k in SHAPES} for e in exact])
    assert ours["weight"] > 3 * theirs["weight"]


def begun(state):
    """Returns the state as if the first step were not the first."""
    return jax.tree.map(lambda leaf: jnp.ones_like(leaf) if leaf.dtype == bool else leaf, state)


def test_control_dampening_on_the_first_step_is_noticed():
    options = dict(lr=0.1, momentum=0.9, dampening=0.3)
    right = list(torch_run("SGD", options))
    assert largest_gap(jax_run(make("SGD", options)), right) < 1e-13
    assert largest_gap(jax_run(make("SGD", options), start=begun), right) > 1e-3


def rated(*parts, lr=0.01):
    return optax.chain(*parts, optim.scale_by_rate(lr))


WRONG = {
    "momentum turned round": ("SGD", dict(lr=0.01, momentum=0.9), rated(optim.scale_by_momentum(0.1))),
    "nesterov forgotten": ("SGD", dict(lr=0.01, momentum=0.9, nesterov=True), rated(optim.scale_by_momentum(0.9))),
    "decay after the momentum": (
        "SGD",
        dict(lr=0.01, momentum=0.9, weight_decay=0.1),
        rated(optim.scale_by_momentum(0.9), optim.add_decayed_weights(0.1)),
    ),
    "betas turned round": ("Adam", dict(lr=0.01), rated(optim.scale_by_adam((0.1, 0.001)))),
    "betas exchanged": ("Adam", dict(lr=0.01), rated(optim.scale_by_adam((0.999, 0.9)))),
    "eps inside Adam's root": ("Adam", dict(lr=0.01), rated(optax.scale_by_adam(eps=0, eps_root=1e-8))),
    "no bias correction": ("Adam", dict(lr=0.01), rated(optax.ema(0.9, debias=False), optax.scale_by_rms(0.999))),
    "L2 for decoupled decay": (
        "AdamW",
        dict(lr=0.01, weight_decay=0.1),
        rated(optim.add_decayed_weights(0.1), optim.scale_by_adam()),
    ),
    "amsgrad forgotten": (
        "Adam",
        dict(lr=0.01, betas=(0.3, 0.4), amsgrad=True),
        rated(optim.scale_by_adam((0.3, 0.4))),
    ),
    "eps inside Adagrad's root": (
        "Adagrad",
        dict(lr=0.01, eps=1e-6),
        rated(optax.scale_by_rss(initial_accumulator_value=0.0, eps=1e-6)),
    ),
    "decay of the rate begun too early": (
        "Adagrad",
        dict(lr=0.01, lr_decay=0.1),
        rated(optim.scale_by_adagrad(), lr=lambda count: 0.01 / (1 + (count + 1) * 0.1)),
    ),
    "eps inside RMSprop's root": (
        "RMSprop",
        dict(lr=0.01, alpha=0.9, eps=1e-6),
        rated(optax.scale_by_rms(0.9, eps=1e-6, eps_in_sqrt=True)),
    ),
    "not centered": ("RMSprop", dict(lr=0.01, centered=True), rated(optim.scale_by_rmsprop())),
    "NAdam whose momentum is constant": ("NAdam", dict(lr=0.01), optax.nadam(0.01)),
    "RAdam that adapts from length 4 on": ("RAdam", dict(lr=0.01), optax.radam(0.01, b2=0.999, threshold=4.0)),
    "eps beside Adamax's divisor": ("Adamax", dict(lr=0.01, eps=1e-3), optax.adamax(0.01, eps=1e-4)),
    "Rprop that begins late": ("Rprop", dict(lr=0.01), optax.rprop(0.01)),
    "ASGD without decay": ("ASGD", dict(lr=0.01), optim.ASGD(0.01, lambd=0.0)),
    "Yogi that adds all squares": ("Yogi", dict(lr=0.01), optim.Adam(0.01, eps=1e-3)),
    "Yogi that begins above 0": ("Yogi", dict(lr=0.01), optax.yogi(0.01)),
    "eps outside the scratch Adagrad's root": ("AdagradScratch", dict(lr=0.01), optim.Adagrad(0.01, eps=1e-6)),
    "eps outside the scratch RMSProp's root": ("RMSPropScratch", dict(lr=0.01), optim.RMSprop(0.01, 0.9, eps=1e-6)),
    "eps outside Adadelta's root": ("Adadelta", dict(lr=0.01, eps=1e-4), rated(optim.scale_by_adadelta(eps=1e-8))),
}


@pytest.mark.usefixtures("promoting")  # as Optax does
@pytest.mark.parametrize("bug", WRONG)
def test_control_a_wrong_algorithm_is_noticed(bug):
    name, options, tx = WRONG[bug]
    right = [{k: record[k] for k in SHAPES} for record in torch_run(name, options)]
    wrong = [{k: record[k] for k in SHAPES} for record in jax_run(tx)]
    assert largest_gap(wrong, right) > 1e-9


def test_control_another_option_is_noticed():
    left = jax_run(optim.SGD(0.1, 0.9))
    right = torch_run("SGD", dict(lr=0.1, momentum=0.9 + 1e-9))
    assert largest_gap(left, right) > 1e-12


def test_control_a_wrong_update_is_noticed_from_pytorchs_own_state():
    teacher = list(torch_run("RMSprop", dict(lr=0.01)))
    run = jax_run(optim.RMSprop(0.01, eps=1e-8 + 1e-12), teacher=teacher)
    assert largest_gap_of_an_update(run, teacher) > 1e-13
