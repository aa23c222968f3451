"""A wider reading of a JAX state: PyTorch's parameters may be more than what one optimiser of Optax's moves.

A reference that nothing trains, a second net of plain gradient descent, or two nets that are equal, stand in a state as
averaged copies or constants do. Only where PyTorch has parameters besides does it read so.
"""

from dataclasses import replace

import numpy as np

from d2l_jax.weights.leaf import Leaf
from parity.training_step.homes import homes_of
from parity.training_step.jax_state import JaxState
from parity.training_step.roles import Roles, moments_of


def wider(state: JaxState, roles: Roles) -> Roles:
    """Returns the roles in which what looks like copies and constants may be further parameters."""
    others = [*roles.buffers, *(path for paths in roles.copies.values() for path in paths)]
    numbers = {path: state.leaves[path] for path in (*roles.params, *others)}
    moments = {part.path: moments_of(state.leaves, part) for part in roles.parts}
    known = {part.path: part.home for part in roles.parts if part.home}
    homes = known or homes_of({path: tensors for path, tensors in moments.items() if tensors}, numbers, apart=True)
    return replace(
        roles,
        root=(),
        buffers=others,
        others=others,
        parts=[replace(part, home=homes.get(part.path, roles.root)) for part in roles.parts],
        part_of={root: roles.part_of.get(root, roles.root) for root in roles.copies},
        model=None,
    )


def narrowed(roles: Roles, leaves: list[Leaf]) -> Roles:
    """Returns the roles with what the map has found to be parameters among them, and the rest as it was."""
    mapped = {leaf.path for leaf in leaves if leaf.trained}
    copies = {root: paths for root, paths in roles.copies.items() if not mapped & set(paths)}
    copied = {path for paths in copies.values() for path in paths}
    return replace(
        roles,
        params=[*roles.params, *(path for path in roles.others if path in mapped)],
        buffers=[path for path in roles.buffers if path not in mapped | copied],
        copies=copies,
        others=[],
    )


def may_hold(roles: Roles, state: JaxState, parameters: int) -> bool:
    """Tells whether a wider reading is worth a try: so many parameters are more, and the state has other arrays."""
    return parameters > len(roles.params) and any(
        np.ndim(state.leaves[path]) for path in (*roles.buffers, *(p for paths in roles.copies.values() for p in paths))
    )
