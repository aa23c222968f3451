"""`d2l_jax.optim` against `torch.optim`: every parameter and every slot after every one of many steps."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d2l_jax import optim

STEPS = 100
SHAPES = {"weight": (3, 5), "bias": (7,)}
OPTIONS = [
    ("SGD", dict(lr=0.1)),
    ("SGD", dict(lr=0.1, maximize=True)),
    ("SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.03)),
    ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.3)),
    ("SGD", dict(lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.1, maximize=True)),
    ("SGD", dict(lr=0.1, weight_decay=3.0, groups={"bias": {"weight_decay": 0.0}})),
    ("SGD", dict(lr=0.1, momentum=0.5, groups={"bias": {"lr": 0.01, "momentum": 0.0}})),
    ("SGD", dict(lr=0.1, groups={"ias": {"momentum": 0.7, "dampening": 0.5, "maximize": True}})),
    ("Adam", dict(lr=0.01)),
    ("Adam", dict()),
    ("Adam", dict(lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    ("Adam", dict(lr=0.01, betas=(0.0, 0.0), maximize=True)),
    ("Adam", dict(lr=0.01, betas=(0.3, 0.4), amsgrad=True)),
    ("Adam", dict(lr=0.01, groups={"bias": {"amsgrad": True, "betas": (0.5, 0.9), "eps": 0.1}})),
    ("AdamW", dict(lr=0.01)),
    ("AdamW", dict(lr=0.01, amsgrad=True, betas=(0.7, 0.5))),
    ("AdamW", dict(lr=0.01, weight_decay=0.3, groups={"bias": {"weight_decay": 0.0, "lr": 0.1}})),
    ("Adagrad", dict(lr=0.1)),
    ("Adagrad", dict(lr=0.1, lr_decay=0.05, weight_decay=0.1, initial_accumulator_value=0.2, eps=1e-3)),
    ("Adagrad", dict(lr=0.1, maximize=True, groups={"bias": {"lr_decay": 0.5, "eps": 1e-2}})),
    ("RMSprop", dict()),
    ("RMSprop", dict(lr=0.01, alpha=0.9, eps=1e-2, weight_decay=0.1)),
    ("RMSprop", dict(lr=0.01, alpha=0.3, centered=True)),
    ("RMSprop", dict(lr=0.01, momentum=0.9, centered=True, maximize=True)),
    ("RMSprop", dict(lr=0.01, groups={"bias": {"centered": True}, "weight": {"momentum": 0.5, "alpha": 0.5}})),
    ("Adadelta", dict()),
    ("Adadelta", dict(lr=0.5, rho=0.7, eps=1e-4, weight_decay=0.1)),
    ("Adadelta", dict(maximize=True, groups={"bias": {"rho": 0.5, "eps": 1e-2, "lr": 2.0}})),
]


def draw(dtype="float64", shapes=SHAPES, steps=STEPS, seed=0):
    """The first parameters, and the gradients of every step."""
    random = np.random.default_rng(seed)
    first, *rest = ({k: random.normal(size=s).astype(np.float32) for k, s in shapes.items()} for _ in range(steps + 1))
    return [{k: a.astype(dtype) for k, a in arrays.items()} for arrays in (first, *rest)]


def torch_run(name, options, dtype="float64", drawn=None):
    """After every step: {parameter or slot:parameter: array}."""
    options = dict(options)
    groups = options.pop("groups", {})
    first, *gradients = drawn or draw(dtype)
    params = {k: torch.tensor(a.astype(dtype)) for k, a in first.items()}
    of = {k: next((groups[end] for end in groups if k.endswith(end)), {}) for k in params}
    optimizer = getattr(torch.optim, name)([{"params": [p], **of[k]} for k, p in params.items()], **options)
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
    """{slot:parameter: array} of every named tuple in `state`."""
    record = {}
    for part in filter(is_slots, jax.tree.leaves(state, is_leaf=is_slots)):
        for slot, value in part._asdict().items():
            value = value if isinstance(value, dict) else dict.fromkeys(SHAPES, value)
            record |= {f"{slot}:{k}": np.asarray(array) for k, array in value.items() if array is not None}
    return record


def forced(state, record):
    """`state` with what `record` has for its slots."""

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
    """As `torch_run`; from the second step on, a teacher's record replaces parameters and slots before the step."""
    first, *gradients = drawn or draw(dtype)
    params = {k: jnp.asarray(a, dtype) for k, a in first.items()}
    state, update, lessons = start(tx.init(params)), jax.jit(tx.update) if jit else tx.update, iter(teacher)
    for grads in gradients:
        updates, state = update({k: jnp.asarray(g, dtype) for k, g in grads.items()}, state, params)
        params = optax.apply_updates(params, updates)
        yield {k: np.asarray(p) for k, p in params.items()} | slots_of(state)
        if teacher:
            lesson = next(lessons)
            params, state = {k: jnp.asarray(lesson[k]) for k in params}, forced(state, lesson)


def float32_run(tx):
    """`jax_run` as users run it, with no float64 at all."""
    with jax.enable_x64(False):
        return list(jax_run(tx, "float32"))


def largest_gap(left, right):
    """Over all steps and tensors, relative to the largest element of the tensor."""
    gaps = [0.0]
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        gaps += [np.abs(a[k] - b[k]).max() / np.abs(b[k]).max() for k in b if np.abs(b[k]).max()]
    return max(gaps)


def largest_gap_of_an_update(run, teacher):
    """Relative to the largest element of the update, beyond what adding it to the parameter rounds."""
    gaps, before = [], draw()[0]
    for ours, theirs in zip(run, teacher, strict=True):
        for k in SHAPES:
            rounding = 2 * np.spacing(np.abs(theirs[k]).max())
            gaps.append((np.abs(ours[k] - theirs[k]).max() - rounding) / np.abs(theirs[k] - before[k]).max())
        before = theirs
    return max(gaps)


def make(name, options):
    return getattr(optim, name)(**options)


@pytest.mark.parametrize("name, options", OPTIONS, ids=str)
def test_every_step_agrees(name, options):
    assert largest_gap(jax_run(make(name, options)), torch_run(name, options)) < 1e-13


@pytest.mark.parametrize("name, options", OPTIONS, ids=str)
def test_every_step_agrees_from_pytorchs_own_state(name, options):
    teacher = list(torch_run(name, options))
    run = list(jax_run(make(name, options), teacher=teacher))
    assert largest_gap(run, teacher) < 1e-14
    assert largest_gap_of_an_update(run, teacher) < 1e-13


def error(run, exact):
    """Root mean square over all steps, {parameter or slot: error}."""
    square = {k: [np.mean((a[k].astype(np.float64) - b[k]) ** 2) for a, b in zip(run, exact)] for k in exact[0]}
    return {k: np.mean(values) ** 0.5 for k, values in square.items()}


@pytest.mark.parametrize("name, options", OPTIONS, ids=str)
def test_in_float32_the_error_is_not_above_pytorchs(name, options):
    exact = list(torch_run(name, options))
    theirs = error(list(torch_run(name, options, "float32")), exact)
    ours = error(float32_run(make(name, options)), exact)
    scale = {k: np.abs(exact[-1][k]).max() for k in exact[0]}
    assert {k: (ours[k], theirs[k]) for k in ours if ours[k] > 1.5 * theirs[k] + 6e-8 * scale[k]} == {}


@pytest.mark.usefixtures("promoting")  # as Optax does
def test_control_the_float32_error_of_optax_is_noticed():
    """Optax's bias correction in float32 loses four digits of 1 - 0.999**count."""
    exact = list(torch_run("Adam", dict(lr=0.01)))
    theirs = error(list(torch_run("Adam", dict(lr=0.01), "float32")), exact)
    ours = error(float32_run(optax.adam(0.01)), [{k: e[k] for k in SHAPES} for e in exact])
    assert ours["weight"] > 3 * theirs["weight"]


def begun(state):
    """As if the first step were not the first."""
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
    left, right = jax_run(optim.SGD(0.1, 0.9)), torch_run("SGD", dict(lr=0.1, momentum=0.9 + 1e-9))
    assert largest_gap(left, right) > 1e-12


def test_control_a_wrong_update_is_noticed_from_pytorchs_own_state():
    teacher = list(torch_run("RMSprop", dict(lr=0.01)))
    run = jax_run(optim.RMSprop(0.01, eps=1e-8 + 1e-12), teacher=teacher)
    assert largest_gap_of_an_update(run, teacher) > 1e-13


def test_centered_rmsprop_survives_a_variance_that_rounds_below_zero():
    """PyTorch's update is NaN wherever its own rounding does that."""
    tx, grads = optim.RMSprop(alpha=0.1, centered=True), {"w": jnp.linspace(0.1, 3, 1000)}
    state = tx.init(grads)
    for _ in range(60):
        updates, state = tx.update(grads, state, grads)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((updates, state)))


def numbers(low, high):
    return st.floats(low, high).map(lambda x: round(x, 3))


COMMON = dict(lr=numbers(0, 1), weight_decay=numbers(0, 1), maximize=st.booleans())
EPS = dict(eps=st.sampled_from([1e-8, 1e-4, 0.1]))
DRAWN = {
    "SGD": dict(momentum=numbers(0, 1), dampening=numbers(-1, 1)),
    "Adam": dict(betas=st.tuples(numbers(0, 0.99), numbers(0, 0.99)), amsgrad=st.booleans(), **EPS),
    "Adagrad": dict(lr_decay=numbers(0, 1), initial_accumulator_value=numbers(0, 1), **EPS),
    # With a smaller alpha or eps, the variance of one gradient cancels to nothing, or to PyTorch's NaN.
    "RMSprop": dict(alpha=numbers(0.2, 0.99), momentum=numbers(0, 1), centered=st.booleans(), eps=numbers(0.01, 1)),
    "Adadelta": dict(rho=numbers(0, 1), **EPS),
}
DRAWN["AdamW"] = DRAWN["Adam"]
SIZES = st.sampled_from([(), (4,), (2, 3)])


@pytest.mark.parametrize("name", DRAWN)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), shapes=st.fixed_dictionaries(dict(weight=SIZES, bias=SIZES)), seed=st.integers(0, 99))
def test_any_options_and_shapes_agree(name, data, shapes, seed):
    options = data.draw(st.fixed_dictionaries(COMMON | DRAWN[name]))
    group = data.draw(st.fixed_dictionaries({}, optional=COMMON | DRAWN[name]))
    group.pop("initial_accumulator_value", None)
    options["groups"] = {"bias": group}
    drawn = draw(shapes=shapes, steps=4, seed=seed)
    left = list(jax_run(make(name, options), drawn=drawn, jit=False))
    right = list(torch_run(name, options, drawn=drawn))
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for k in b:
            limit = 1e-10 if name == "RMSprop" else 1e-12
            np.testing.assert_allclose(a[k], b[k], rtol=limit, atol=limit)
