"""Moments that a step in plain JAX keeps itself, in trees like the parameters: slots of an optimiser by hand."""

from collections import namedtuple
from collections.abc import Container
from dataclasses import replace

import numpy as np

from parity.training_step.homes import AVERAGED
from parity.training_step.jax_state import JaxState, Path
from parity.training_step.roles import Part, Roles

# What people call them -> Optax's names, which say what slots of PyTorch's they may be; the numbers decide.
MOMENTS = {
    "m": "mu",
    "mu": "mu",
    "mean": "mu",
    "exp_avg": "mu",
    "first_moment": "mu",
    "v": "nu",
    "nu": "nu",
    "exp_avg_sq": "nu",
    "second_moment": "nu",
    "square_avg": "nu",
    "vel": "trace",
    "velocity": "trace",
    "velocities": "trace",
    "mom": "trace",
    "momentum": "trace",
    "momenta": "trace",
    "momentum_buffer": "trace",
    "buf": "trace",
}
UNNAMED = "slot"  # its numbers alone tell which
OTHERS = (*AVERAGED, "acc", "grad", "old", "prev", "best", "init")  # words of trees that are no moments


def with_moments(roles: Roles, state: JaxState, compared: Container[Path], slots: bool) -> Roles:
    """Returns the roles in which trees like the parameters, that are no copies of PyTorch's, are slots by hand.

    compared: paths of averaged copies that PyTorch has too
    slots:    PyTorch's optimiser has slots that are tensors
    """
    if not slots or any(
        np.ndim(leaf) and part.holds(path) for path, leaf in state.leaves.items() for part in roles.parts
    ):
        return roles
    whole = {root: paths for root, paths in roles.copies.items() if root and root not in roles.part_of}
    roots = [root for root, paths in whole.items() if not any(path in compared for path in paths)]
    roots = [root for root in roots if not any(word in str(root[-1]).lower() for word in OTHERS)]
    fields = [MOMENTS.get(str(root[-1]).lower().strip("_"), UNNAMED) for root in roots]
    if "mu" not in fields:
        fields = ["trace" if field == "nu" else field for field in fields]  # v is a velocity, then
    parts = [Part(root, namedtuple("ByHand", [field]), whole=True) for root, field in zip(roots, fields, strict=True)]
    left = {root: paths for root, paths in roles.copies.items() if root not in roots}
    return replace(roles, parts=[*roles.parts, *parts], copies=left)
