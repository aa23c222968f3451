"""Steps of an optimiser on either side, from the same gradients, and the gap between them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from d2l_jax import optim
from parity.reference import optimizers

STEPS = 100
SHAPES = {"weight": (3, 5), "bias": (7,)}


def draw(dtype="float64", shapes=SHAPES, steps=STEPS, seed=0):
    """The first parameters, and the gradients of every step."""
    random = np.random.default_rng(seed)
    first, *rest = ({k: random.normal(size=s).astype(np.float32) for k, s in shapes.items()} for _ in range(steps + 1))
    return [{k: a.astype(dtype) for k, a in arrays.items()} for arrays in (first, *rest)]


def torch_run(name, options, dtype="float64", drawn=None):
    """Returns the state after every step: {parameter or slot:parameter: array}."""
    options = dict(options)
    groups = options.pop("groups", {})
    first, *gradients = drawn or draw(dtype)
    params = {k: torch.tensor(a.astype(dtype)) for k, a in first.items()}
    of = {k: next((groups[end] for end in groups if k.endswith(end)), {}) for k in params}
    make = getattr(torch.optim if hasattr(torch.optim, name) else optimizers, name)
    optimizer = make([{"params": [p], **of[k]} for k, p in params.items()], **options)
    for grads in gradients:
        for k, p in params.items():
            p.grad = torch.tensor(grads[k].astype(dtype))
        optimizer.step()
        yield {k: p.numpy().copy() for k, p in params.items()} | {
            f"{slot}:{k}": torch.as_tensor(value).numpy().copy()
            for k, p in params.items()
            for slot, value in optimizer.state[p].items()
            if value is not None
        }


def is_slots(node):
    return hasattr(node, "_fields")


def slots_of(state):
    """Returns {slot:parameter: array} of every named tuple in `state`."""
    record = {}
    for part in filter(is_slots, jax.tree.leaves(state, is_leaf=is_slots)):
        for slot, value in part._asdict().items():
            value = value if isinstance(value, dict) else dict.fromkeys(SHAPES, value)
            record |= {f"{slot}:{k}": np.asarray(array) for k, array in value.items() if array is not None}
    return record


def forced(state, record):
    """Returns `state` with what `record` has for its slots."""

    def replaced(part):
        if not is_slots(part):
            return part
        values = {}
        for slot, value in part._asdict().items():
            if isinstance(value, dict):
                values[slot] = {k: None if a is None else jnp.asarray(record[f"{slot}:{k}"]) for k, a in value.items()}
            else:
                values[slot] = jnp.asarray(record[f"{slot}:weight"], value.dtype)
        return part._replace(**values)

    return jax.tree.map(replaced, state, is_leaf=is_slots)


def jax_run(tx, dtype="float64", teacher=(), drawn=None, jit=True, start=lambda state: state):
    """Returns what `torch_run` does; a teacher's record replaces parameters and slots from the second step on."""
    first, *gradients = drawn or draw(dtype)
    params = {k: jnp.asarray(a, dtype) for k, a in first.items()}
    state = start(tx.init(params))
    update = jax.jit(tx.update) if jit else tx.update
    lessons = iter(teacher)
    for grads in gradients:
        updates, state = update({k: jnp.asarray(g, dtype) for k, g in grads.items()}, state, params)
        params = optax.apply_updates(params, updates)
        yield {k: np.asarray(p) for k, p in params.items()} | slots_of(state)
        if teacher:
            lesson = next(lessons)
            params = {k: jnp.asarray(lesson[k]) for k in params}
            state = forced(state, lesson)


def float32_run(tx):
    """Returns `jax_run` as users run it, with no float64 at all."""
    with jax.enable_x64(False):
        return list(jax_run(tx, "float32"))


def largest_gap(left, right):
    """The largest difference over all steps and tensors, relative to the largest element of the tensor."""
    gaps = [0.0]
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        gaps += [np.abs(a[k] - b[k]).max() / np.abs(b[k]).max() for k in b if np.abs(b[k]).max()]
    return max(gaps)


def largest_gap_of_an_update(run, teacher):
    """The largest difference relative to the update's largest element, beyond the rounding of the addition."""
    gaps = []
    before = draw()[0]
    for ours, theirs in zip(run, teacher, strict=True):
        for k in SHAPES:
            rounding = 2 * np.spacing(np.abs(theirs[k]).max())
            gaps.append((np.abs(ours[k] - theirs[k]).max() - rounding) / np.abs(theirs[k] - before[k]).max())
        before = theirs
    return max(gaps)


def make(name, options):
    return getattr(optim, name)(**options)


def error(run, exact):
    """Returns the root mean square over all steps, {parameter or slot: error}."""
    square = {k: [np.mean((a[k].astype(np.float64) - b[k]) ** 2) for a, b in zip(run, exact)] for k in exact[0]}
    return {k: np.mean(values) ** 0.5 for k, values in square.items()}
