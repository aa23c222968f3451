"""Rates of either side, count after count."""

import jax
import jax.numpy as jnp
import numpy as np
import torch

from d2l_jax import optim

COUNTS = 100
NO_MOMENTUM = dict(cycle_momentum=False)


def torch_rates(name, options, lr=0.3, counts=COUNTS):
    """The rate of every update, with one `scheduler.step()` between two."""
    options = dict(options)
    optimizer = torch.optim.SGD([torch.zeros(1)], options.pop("max_lr", lr) if name == "OneCycleLR" else lr)
    if name == "OneCycleLR":
        options |= dict(max_lr=lr) | NO_MOMENTUM
    if name == "CyclicLR":
        options |= dict(base_lr=lr) | NO_MOMENTUM
    return rates_of_scheduler(optimizer, getattr(torch.optim.lr_scheduler, name)(optimizer, **options), counts)


def rates_of_scheduler(optimizer, scheduler, counts=COUNTS):
    """The rate of every update under a scheduler of PyTorch's."""
    rates = [scheduler.get_last_lr()[0]]
    for _ in range(counts - 1):
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    return np.array(rates)


def make(name, options, lr=0.3):
    return getattr(optim, name)(lr, **options)


def rates_of(schedule, counts=COUNTS):
    """Returns the rates as an optimiser asks for them: one traced int32 at a time."""
    schedule = jax.jit(schedule)
    return np.array([schedule(jnp.asarray(count, jnp.int32)) for count in range(counts)])


def label(value):
    """Returns a label that is the same in every process, as a function's address is not."""
    return str(value).partition(" at 0x")[0]
