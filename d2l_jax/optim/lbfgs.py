"""L-BFGS: a quasi-Newton method of limited memory (Liu and Nocedal 1989)."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from d2l_jax.errors import InputError
from d2l_jax.optim.groups import Options
from d2l_jax.optim.strong_wolfe import Trial, strong_wolfe

LEAST_CURVATURE = 1e-10  # of a step, below which it is not remembered
Flat = Float[Array, " n"]
Evaluate = Callable[[Flat], tuple[Float[Array, ""], Flat]]  # the parameters -> (loss, gradient)


class LBFGSState(NamedTuple):
    """The state of L-BFGS under PyTorch's names; all parameters stand in one flat array of n numbers.

    func_evals, n_iter: evaluations and iterations so far, int32
    d, t:               the last direction and the length of the step along it
    old_dirs, old_stps: (history_size, n), the changes of the gradient and of the parameters, the oldest first
    ro:                 (history_size,), one over the product of either; 0 in rows that are empty
    H_diag:             scale of the first inverse Hessian
    prev_flat_grad, prev_loss: where the last direction was chosen
    """

    func_evals: Int[Array, ""]
    n_iter: Int[Array, ""]
    d: Flat
    t: Float[Array, ""]
    old_dirs: Float[Array, "history n"]
    old_stps: Float[Array, "history n"]
    ro: Float[Array, " history"]
    H_diag: Float[Array, ""]
    prev_flat_grad: Flat
    prev_loss: Float[Array, ""]


class Search(NamedTuple):
    """The search of one update, so far.

    x:           the parameters
    iterations, evaluations: of this update, int32
    done:        the update ends
    """

    x: Flat
    loss: Float[Array, ""]
    gradient: Flat
    state: LBFGSState
    iterations: Int[Array, ""]
    evaluations: Int[Array, ""]
    done: Bool[Array, ""]


class Ending(NamedTuple):
    """Numbers at which an update ends; see `LBFGS`."""

    max_iter: int
    max_eval: int
    tolerance_grad: float
    tolerance_change: float


def LBFGS(
    lr: float = 1.0,
    max_iter: int = 20,
    max_eval: int | None = None,
    tolerance_grad: float = 1e-7,
    tolerance_change: float = 1e-9,
    history_size: int = 100,
    line_search_fn: Literal["strong_wolfe"] | None = None,
    *,
    maximize: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """L-BFGS (`torch.optim.LBFGS`; Liu and Nocedal 1989): up to `max_iter` iterations in one update.

    max_eval: evaluations of the loss in one update; None is max_iter * 5 // 4
    tolerance_grad, tolerance_change: the largest gradient, and the change of loss and parameters, at which it ends
    line_search_fn: None takes steps of length lr

    Call `update(grads, state, params, value=loss, value_fn=f)`, where f(params) is the loss that `grads` is of: it
    stands for PyTorch's closure. All of it is traced, and may be jitted. Raises InputError for a negative lr, an empty
    history and another line search.
    """
    Options(None, lr=lr)
    if history_size < 1:
        raise InputError(f"history_size is {history_size} where at least 1 is right")
    if line_search_fn not in (None, "strong_wolfe"):
        raise InputError(f"line_search_fn is {line_search_fn!r} where 'strong_wolfe' or None is right")
    most = max_iter * 5 // 4 if max_eval is None else max_eval
    ending = Ending(max_iter, most, tolerance_grad, tolerance_change)
    sign = -1.0 if maximize else 1.0

    def update(updates: Any, state: Any, params: Any = None, *, value: Any = None, value_fn: Any = None, **more: Any):
        if params is None or value_fn is None:
            raise ValueError("L-BFGS evaluates the loss: call update(grads, state, params, value=loss, value_fn=f)")
        x, unravel = ravel_pytree(params)

        def evaluate(x: Flat) -> tuple[Float[Array, ""], Flat]:
            loss, grads = jax.value_and_grad(lambda x: value_fn(unravel(x)))(x)
            return sign * loss, sign * grads

        begun = _begun(x, sign * jnp.asarray(value, x.dtype), sign * ravel_pytree(updates)[0], state, ending)
        last = _searched(begun, evaluate, lr, line_search_fn, ending)
        return unravel(last.x - x), last.state

    return optax.GradientTransformationExtraArgs(lambda params: _start(params, history_size), update)


def _start(params: optax.Params, history_size: int) -> LBFGSState:
    flat = ravel_pytree(params)[0]
    zero = jnp.zeros((), flat.dtype)
    none = jnp.zeros_like(flat)
    rows = jnp.zeros((history_size, flat.size), flat.dtype)
    count = jnp.zeros((), jnp.int32)
    ro = jnp.zeros(history_size, flat.dtype)
    return LBFGSState(count, count, none, zero, rows, rows, ro, jnp.ones_like(zero), none, zero)


def _begun(x: Flat, loss: Float[Array, ""], gradient: Flat, state: LBFGSState, ending: Ending) -> Search:
    """Returns the search before its first iteration, after one evaluation."""
    flat = jnp.max(jnp.abs(gradient)) <= ending.tolerance_grad
    state = state._replace(func_evals=state.func_evals + 1)
    none = jnp.zeros((), jnp.int32)
    return Search(x, loss, gradient, state, none, none + 1, flat | (ending.max_iter < 1))


def _searched(search: Search, evaluate: Evaluate, lr: float, line_search_fn: str | None, ending: Ending) -> Search:
    """Returns the search after its last iteration."""

    def next_iteration(search: Search) -> Search:
        chosen = _with_direction(search, lr)
        level = chosen.gradient @ chosen.state.d > -ending.tolerance_change
        moved = jax.lax.cond(level, lambda s: s, lambda s: _moved(s, evaluate, line_search_fn, ending), chosen)
        return _ended(moved, level, ending)

    return jax.lax.while_loop(lambda s: ~s.done, next_iteration, search)


def _with_direction(search: Search, lr: float) -> Search:
    """Returns the search with its next direction, and the first length of the step along it."""
    state = search.state
    g = search.gradient
    first = state.n_iter == 0
    remembered = _remembered(state, g)
    state = jax.tree.map(lambda a, b: jnp.where(first, a, b), state, remembered)
    d = jnp.where(first, -g, _direction(state, g))
    t = jnp.where(first, jnp.minimum(1.0, 1 / jnp.sum(jnp.abs(g))) * lr, lr).astype(g.dtype)
    state = state._replace(n_iter=state.n_iter + 1, d=d, t=t, prev_flat_grad=g, prev_loss=search.loss)
    return search._replace(state=state, iterations=search.iterations + 1)


def _remembered(state: LBFGSState, gradient: Flat) -> LBFGSState:
    """Returns the state with the last step in its memory, in place of the oldest where that is full."""
    y = gradient - state.prev_flat_grad
    s = state.d * state.t
    product = y @ s
    history = len(state.ro)
    stored = jnp.sum(state.ro != 0)
    full = stored == history
    place = jnp.minimum(stored, history - 1)

    def pushed(rows: Array, new: Array) -> Array:
        return jnp.where(full, jnp.roll(rows, -1, 0), rows).at[place].set(new)

    after = state._replace(
        old_dirs=pushed(state.old_dirs, y),
        old_stps=pushed(state.old_stps, s),
        ro=pushed(state.ro, 1 / product),
        H_diag=product / (y @ y),
    )
    return jax.tree.map(lambda a, b: jnp.where(product > LEAST_CURVATURE, a, b), after, state)


def _direction(state: LBFGSState, gradient: Flat) -> Flat:
    """Returns minus the approximate inverse Hessian times the gradient; empty rows add nothing."""

    def back(q: Flat, row: tuple) -> tuple[Flat, Array]:
        y, s, ro = row
        a = (s @ q) * ro
        return q - a * y, a

    def forth(r: Flat, row: tuple) -> tuple[Flat, None]:
        y, s, ro, a = row
        return r + (a - (y @ r) * ro) * s, None

    rows = state.old_dirs, state.old_stps, state.ro
    q, weights = jax.lax.scan(back, -gradient, rows, reverse=True)
    return jax.lax.scan(forth, q * state.H_diag, (*rows, weights))[0]


def _moved(search: Search, evaluate: Evaluate, line_search_fn: str | None, ending: Ending) -> Search:
    """Returns the search at the end of its step."""
    x = search.x
    state = search.state

    def trial(t: Float[Array, ""]) -> Trial:
        loss, gradient = evaluate(x + t * state.d)
        return Trial(t, loss, gradient, gradient @ state.d)

    slope = search.gradient @ state.d
    start = Trial(jnp.zeros_like(state.t), search.loss, search.gradient, slope)
    if line_search_fn:
        longest = jnp.max(jnp.abs(state.d))
        end, count = strong_wolfe(trial, start, state.t, longest, ending.max_eval - search.evaluations)
    else:
        last = search.iterations == ending.max_iter
        stay = start._replace(t=state.t)  # PyTorch does not evaluate behind the last step
        end = jax.lax.cond(last, lambda: stay, lambda: trial(state.t))
        count = jnp.where(last, 0, 1).astype(jnp.int32)
    state = state._replace(t=end.t, func_evals=state.func_evals + count)
    return search._replace(
        x=x + end.t * state.d,
        loss=end.loss,
        gradient=end.gradient,
        state=state,
        evaluations=search.evaluations + count,
    )


def _ended(search: Search, level: Bool[Array, ""], ending: Ending) -> Search:
    """Returns the search, done where no further iteration follows; `level` says that the direction leads nowhere."""
    state = search.state
    done = level | (search.iterations == ending.max_iter) | (search.evaluations >= ending.max_eval)
    done |= jnp.max(jnp.abs(search.gradient)) <= ending.tolerance_grad
    done |= jnp.max(jnp.abs(state.d * state.t)) <= ending.tolerance_change
    done |= jnp.abs(search.loss - state.prev_loss) < ending.tolerance_change
    return search._replace(done=done)
