"""Optimisers that follow a schedule, beside PyTorch's."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from d2l_jax import optim

COUNTS = 100


def test_an_optimiser_follows_a_schedule_from_count_0():
    tx = optim.SGD(optim.StepLR(0.1, 2, 0.5))
    params = {"w": jnp.zeros(())}
    state = tx.init(params)
    seen = []
    for _ in range(5):
        updates, state = tx.update({"w": jnp.ones(())}, state, params)
        seen.append(-float(updates["w"]))
    np.testing.assert_allclose(seen, [0.1, 0.1, 0.05, 0.05, 0.025])


TRAINED = [
    ("SGD", dict(momentum=0.9, nesterov=True)),
    ("Adam", dict()),
    ("AdamW", dict(weight_decay=0.1)),
    ("Adagrad", dict(lr_decay=0.1)),
    ("RMSprop", dict(momentum=0.9)),
    ("Adadelta", dict()),
    ("NAdam", dict(weight_decay=0.1, decoupled_weight_decay=True)),
    ("RAdam", dict(betas=(0.9, 0.9))),
    ("Adamax", dict()),
    ("ASGD", dict(lambd=0.1)),
]


def trained(tx):
    params = {"w": jnp.ones(5)}
    random = np.random.default_rng(0)
    state = tx.init(params)
    update = jax.jit(tx.update)
    for _ in range(COUNTS):
        updates, state = update({"w": jnp.asarray(random.normal(size=5))}, state, params)
        params = optax.apply_updates(params, updates)
    return np.asarray(params["w"])


COSINE = partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=30)


def torch_trained(name, options, schedule=COSINE):
    p = torch.ones(5, dtype=torch.float64, requires_grad=True)
    random = np.random.default_rng(0)
    optimizer = getattr(torch.optim, name)([p], lr=0.1, **options)
    scheduler = schedule(optimizer)
    for count in range(COUNTS):
        p.grad = torch.tensor(random.normal(size=5))
        optimizer.step()
        if count < COUNTS - 1:
            scheduler.step()
    return p.detach().numpy()


@pytest.mark.parametrize("name, options", TRAINED, ids=str)
def test_training_under_a_schedule_agrees(name, options):
    tx = getattr(optim, name)(optim.CosineAnnealingLR(0.1, 30), **options)
    np.testing.assert_allclose(trained(tx), torch_trained(name, options), rtol=1e-12)


def test_control_a_rate_before_the_momentum_is_noticed():
    """A rate before the momentum, as in `optax.rmsprop`, gives another result."""
    wrong = optax.chain(
        optim.scale_by_rmsprop(), optim.scale_by_rate(optim.CosineAnnealingLR(0.1, 30)), optim.scale_by_momentum(0.9)
    )
    assert not np.allclose(trained(wrong), torch_trained("RMSprop", dict(momentum=0.9)), rtol=1e-3)


WAY = dict(step_size_up=7, step_size_down=13, mode="triangular2")
CYCLES = {
    "triangles": (
        partial(torch.optim.lr_scheduler.CyclicLR, base_lr=0.1, max_lr=0.5, **WAY),
        optim.CyclicLR(0.1, 0.5, **WAY),
        optim.CyclicLR(0.9, 0.8, **WAY),
    ),
    "one": (
        partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.5, total_steps=COUNTS),
        optim.OneCycleLR(0.5, COUNTS),
        optim.OneCycleLR(0.85, COUNTS, div_factor=0.85 / 0.95, final_div_factor=1.0),
    ),
}


@pytest.mark.parametrize("name", CYCLES)
@pytest.mark.parametrize("options", [dict(nesterov=True), dict(dampening=0.3)], ids=str)
def test_a_momentum_that_cycles_with_the_rate_agrees(name, options):
    theirs, lr, momentum = CYCLES[name]
    expected = torch_trained("SGD", options | dict(momentum=0.9), theirs)
    np.testing.assert_allclose(trained(optim.SGD(lr, momentum, **options)), expected, rtol=1e-11)
    assert not np.allclose(trained(optim.SGD(lr, 0.9, **options)), expected, rtol=1e-3)  # the control
