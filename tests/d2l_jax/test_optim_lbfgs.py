"""L-BFGS beside `torch.optim.LBFGS`: every update from PyTorch's own state, on losses that change with every update."""

import copy
import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from d2l_jax import optim
from d2l_jax.errors import InputError

UPDATES = 100
SHAPES = {"weight": (3, 5), "bias": (7,)}
OPTIONS = [
    dict(line_search_fn="strong_wolfe", max_iter=3, history_size=2),
    dict(lr=0.3, max_iter=4, history_size=3, max_eval=3, maximize=True),
]


def loss_of(params, target, xp, sign):
    """A valley that bends: quartic along the bias, which leans on the weight."""
    weight = params["weight"]
    bias = params["bias"]
    bent = bias - 0.3 * xp.cos(weight).sum()
    off = weight - target["weight"]
    return sign * ((off * off).sum() + 0.1 * (off**4).sum() + ((bent - target["bias"]) ** 2).sum())


@cache
def targets():
    random = np.random.default_rng(0)
    return [{k: random.normal(size=s) for k, s in SHAPES.items()} for _ in range(UPDATES)]


def torch_run(options):
    """Yields (parameters, state) after every update."""
    params = {k: torch.zeros(s, dtype=torch.float64, requires_grad=True) for k, s in SHAPES.items()}
    ordered = [params["bias"], params["weight"]]  # JAX sorts a dict's names
    optimizer = torch.optim.LBFGS(ordered, **options)
    sign = -1.0 if options.get("maximize") else 1.0
    for target in targets():
        target = {k: torch.tensor(a) for k, a in target.items()}

        def closure(target=target):
            optimizer.zero_grad()
            loss = loss_of(params, target, torch, sign)
            loss.backward()
            return loss

        optimizer.step(closure)
        state = copy.deepcopy(dict(optimizer.state[ordered[0]]))  # PyTorch changes its arrays in place
        yield {k: p.detach().numpy().copy() for k, p in params.items()}, state


def placed(state, theirs):
    """Returns our state with PyTorch's in it."""

    def rows(name, empty):
        values = [np.asarray(v) for v in theirs[name]]
        return jnp.asarray(np.stack([*values, *[np.zeros_like(empty[0])] * (len(empty) - len(values))]))

    def like(name):
        return jnp.asarray(np.asarray(theirs[name]), getattr(state, name).dtype)

    return optim.LBFGSState(
        **{name: like(name) for name in ("func_evals", "n_iter", "d", "t", "H_diag", "prev_flat_grad", "prev_loss")},
        **{name: rows(name, np.asarray(getattr(state, name))) for name in ("old_dirs", "old_stps", "ro")},
    )


def jax_run(options, teacher=()):
    """Yields (parameters, state); a teacher's replace them from the second update on."""
    tx = optim.LBFGS(**options)
    sign = -1.0 if options.get("maximize") else 1.0

    @jax.jit
    def update(params, state, target):
        def f(params):
            return loss_of(params, target, jnp, sign)

        value, grads = jax.value_and_grad(f)(params)
        updates, state = tx.update(grads, state, params, value=value, value_fn=f)
        return optax.apply_updates(params, updates), state

    params = {k: jnp.zeros(s) for k, s in SHAPES.items()}
    state = tx.init(params)
    lessons = iter(teacher)
    for target in targets():
        params, state = update(params, state, {k: jnp.asarray(a) for k, a in target.items()})
        yield params, state
        if teacher:
            params, theirs = next(lessons)
            params = {k: jnp.asarray(a) for k, a in params.items()}
            state = placed(state, theirs)


def gap(ours, theirs):
    return max(np.abs(np.asarray(ours[k]) - theirs[k]).max() for k in SHAPES)


MORE = [
    (dict(line_search_fn="strong_wolfe", max_iter=6, max_eval=4, lr=7.0, maximize=True), 1e-11),
    (dict(line_search_fn="strong_wolfe", max_iter=5, tolerance_grad=0.5, tolerance_change=1e-2), 1e-11),
    (dict(lr=0.5, max_iter=1, maximize=True), 1e-11),
    (dict(line_search_fn="strong_wolfe"), 1e-6),  # its twenty iterations amplify what rounds differently
    (dict(lr=0.1), 1e-6),
]


@pytest.mark.slow
@pytest.mark.usefixtures("promoting")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_update_agrees_from_pytorchs_own_state(options):
    compare(options, 1e-11)


@pytest.mark.slow
@pytest.mark.usefixtures("promoting")
@pytest.mark.parametrize("options, limit", MORE, ids=str)
def test_every_update_agrees_with_more_options(options, limit):
    compare(options, limit)


def compare(options, limit):
    teacher = list(torch_run(options))
    for number, ((ours, state), (theirs, slots)) in enumerate(zip(jax_run(options, teacher), teacher, strict=True)):
        assert gap(ours, theirs) < limit, number
        assert (int(state.n_iter), int(state.func_evals)) == (slots["n_iter"], slots["func_evals"]), number
        for name in ("d", "t", "H_diag", "prev_flat_grad", "prev_loss"):
            np.testing.assert_allclose(getattr(state, name), slots[name], rtol=limit**0.5, atol=1e-2 * limit**0.5)
        count = len(slots["ro"])
        theirs = np.array(slots["old_stps"]).reshape(count, len(state.d))
        np.testing.assert_allclose(state.old_stps[:count], theirs, rtol=limit**0.5, atol=1e-2 * limit**0.5)
        assert not state.ro[count:].any()


@pytest.mark.slow
@pytest.mark.usefixtures("promoting")
def test_control_another_search_or_history_is_noticed():
    right = list(itertools.islice(torch_run(OPTIONS[0]), 5))
    for wrong in (dict(OPTIONS[0], history_size=3), dict(OPTIONS[0], lr=0.9)):
        runs = zip(jax_run(wrong), right)
        assert max(gap(ours, theirs) for (ours, _), (theirs, _) in runs) > 1e-4


@pytest.mark.slow
def test_an_optimum_is_left_alone():
    tx = optim.LBFGS()
    params = {"w": jnp.zeros(3)}
    updates, state = tx.update(params, tx.init(params), params, value=jnp.zeros(()), value_fn=lambda p: p["w"].sum())
    assert not updates["w"].any()
    assert (int(state.func_evals), int(state.n_iter)) == (1, 0)


def test_a_wrong_call_says_what_is_right():
    with pytest.raises(InputError, match="line_search_fn is 'wolfe' where 'strong_wolfe' or None is right"):
        optim.LBFGS(line_search_fn="wolfe")
    with pytest.raises(InputError, match="lr is -1 where a number >= 0 is right"):
        optim.LBFGS(lr=-1)
    with pytest.raises(InputError, match="history_size is 0 where at least 1 is right"):
        optim.LBFGS(history_size=0)
    with pytest.raises(ValueError, match="value_fn=f"):
        optim.LBFGS().update({}, None, {})
