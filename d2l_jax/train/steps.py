"""The training step: the one that users run, that the bench times, and that `parity` proves."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array

from d2l_jax.cpu.compile import jit
from d2l_jax.errors import InputError
from d2l_jax.functional import Tree, eval_view, parts, train_view
from d2l_jax.metrics import LABELS, Metric, measured
from d2l_jax.train.state import TrainState
from d2l_jax.turns import Nets, Objective, Tensors, Turn, are_turns, check_are_turns, parted, united

Run = Callable[..., tuple[Any, Tree]]  # (function, params, buffers, *inputs) -> (result, buffers), see `Parts.run`
Metrics = dict[str, Any]
Step = Callable[[TrainState, Tensors], tuple[TrainState, Metrics]]
EvalStep = Callable[[Tree, Tree, Tensors], Metrics]
Observe = Callable[[Nets, Tensors], Tensors]


class Seen(NamedTuple):
    """All that is in between, of one turn.

    tensors:         what the objective returned beside the loss
    gradients:       of the leaves that the turn moves
    input_gradients: like the batch, None in the place of integers; without "targets" and what a turn has replaced
    params, buffers, opt_state: after the turn
    """

    loss: Array
    tensors: Tensors
    gradients: Tree
    input_gradients: Tensors
    params: Tree
    buffers: Tree
    opt_state: optax.OptState


Watch = Callable[[Turn, Seen], None]


def step(
    run: Run, turns: Sequence[Turn], state: TrainState, batch: Tensors, watch: Watch | None = None
) -> tuple[TrainState, Tensors]:
    """Takes every turn once, each on the leaves that the one before it has left.

    run:   the model in training mode, see `d2l_jax.functional.parts`
    watch: is told of each turn while the step is traced. The loss is then differentiated with respect to the
           batch, too, which adds to the program and changes nothing of it

    Returns the next state and all tensors: the batch, what the objectives returned, and the losses.
    Raises InputError where the state is of other turns.
    """
    tensors = dict(batch)
    params = state.params
    buffers = state.buffers
    opt_states = list(state.opt_state)
    if len(opt_states) != len(turns):
        raise InputError(f"the state is of {len(opt_states)} turns, the step of {len(turns)}; the same turns are right")
    for number, turn in enumerate(turns):
        moving, fixed = parted(params, turn.trains)
        unchanged = {name: value for name, value in batch.items() if tensors[name] is value}
        values, place = _differentiable(unchanged if watch else {})

        loss_of = partial(_loss, run, turn.objective, fixed, buffers, tensors, place)
        gradient = jax.value_and_grad(loss_of, argnums=(0, 1), has_aux=True)
        (loss, (more, buffers)), (grads, value_grads) = gradient(moving, values)
        updates, opt_states[number] = turn.transformation().update(grads, opt_states[number], moving)
        params = united(cast(Tree, optax.apply_updates(moving, updates)), fixed)
        tensors = tensors | more | {turn.loss_name: loss}
        if watch:
            watch(turn, Seen(loss, more, grads, place(value_grads, None), params, buffers, opt_states[number]))
    return TrainState(params, buffers, tuple(opt_states), state.step + 1), tensors


def _loss(
    run: Run,
    objective: Objective,
    fixed: Tree,
    buffers: Tree,
    tensors: Tensors,
    place: Callable[..., Tensors],
    moving: Tree,
    values: list[Array],
) -> tuple[Array, tuple[Tensors, Tree]]:
    """Returns (loss, (further tensors, buffers)) as a function of the last two arguments."""
    (loss, more), changed = run(objective, united(moving, fixed), buffers, tensors | place(values))
    return loss, (more, changed)


def _differentiable(batch: Tensors) -> tuple[list[Array], Callable[..., Tensors]]:
    """Returns the floating-point arrays of the batch, and how to put others in their place; targets are left out.

    Beside these stand the batch's other arrays, or None.
    """
    inputs = {name: value for name, value in batch.items() if name != "targets"}
    leaves, tree = jax.tree.flatten(inputs)
    places = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.floating)]

    def placed(values: list[Any], others: list[Any] | None = leaves) -> Tensors:
        rest = others or [None] * len(leaves)
        by_place = dict(zip(places, values, strict=True))
        return jax.tree.unflatten(tree, [by_place.get(i, leaf) for i, leaf in enumerate(rest)])

    return [leaves[i] for i in places], placed


def make_train_step(model: nnx.Module, turns: Sequence[Turn], metrics: Mapping[str, Metric] | None = None) -> Step:
    """Returns the jitted (state, batch) -> (state, {"loss": ..., metric: (sum, count)}).

    The state is donated: go on with the one that is returned. A batch is a dict, {"input": X, "targets": y} where
    the turns are those of `supervised`; bytes 0..255 in it become numbers in [0, 1]. Each turn with a name has a
    loss of its own, "generator_loss".

    metrics: by name, see `d2l_jax.metrics`; None counts the right labels, where the targets are labels
    """
    _check_model(model)
    check_are_turns(turns)
    return compiled_step(parts(train_view(model)).run, turns, metrics)


def compiled_step(run: Run, turns: Sequence[Turn], metrics: Mapping[str, Metric] | None = None) -> Step:
    """Returns `make_train_step` of anything that can be run as a model."""
    return jit(measured_step(partial(step, run, turns), turns, metrics), donate_argnums=0)


def measured_step(
    take: Callable[[TrainState, Tensors], tuple[TrainState, Tensors]],
    turns: Sequence[Turn],
    metrics: Mapping[str, Metric] | None = None,
) -> Step:
    """Returns a step whose results are the losses and metrics, in place of all tensors; bytes become numbers.

    take: (state, batch) -> (state, tensors), as `step` of a model and its turns
    """
    measures = LABELS if metrics is None else metrics

    def train_step(state: TrainState, batch: Tensors) -> tuple[TrainState, Metrics]:
        state, tensors = take(state, to_float(_named(batch), state.params))
        return state, {turn.loss_name: tensors[turn.loss_name] for turn in turns} | measured(measures, tensors)

    return train_step


def make_eval_step(model: nnx.Module, observe: Observe | None, metrics: Mapping[str, Metric] | None = None) -> EvalStep:
    """Returns the jitted (params, buffers, batch) -> {"loss": ..., metric: (sum, count)}, in evaluation mode.

    observe: (nets, tensors) -> tensors with a "loss" among them; `Observed(loss)` for supervised learning

    Raises InputError where `observe` is None, as that of a case which observes nothing, or no function, or returns
    no loss.
    """
    _check_model(model)
    if observe is None:
        raise InputError("there is nothing to observe: observe=Observed(loss) is right for supervised learning")
    if not callable(observe):
        what = "turns, which are for make_train_step" if are_turns(observe) else f"of type {type(observe).__name__}"
        raise InputError(f"observe is {what}; Observed(loss), or a function (nets, tensors) -> tensors, is right")
    run = parts(eval_view(model)).run
    measures = LABELS if metrics is None else metrics

    def eval_step(params: Tree, buffers: Tree, batch: Tensors) -> Metrics:
        batch = to_float(_named(batch), params)
        tensors, _ = run(observe, params, buffers, batch)
        if not isinstance(tensors, dict):
            raise InputError(f'observe returns a {type(tensors).__name__}; a dict with a "loss" in it is right')
        if "loss" not in tensors:
            raise InputError(f'observe returns {", ".join(sorted(tensors))}; a "loss" among them is right')
        return {"loss": tensors["loss"]} | measured(measures, batch | tensors)

    return jit(eval_step)


def _check_model(model: Any) -> None:
    if not isinstance(model, nnx.Module):
        what = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise InputError(f"the model is {what}; an nnx.Module, such as LeNet(rngs=nnx.Rngs(0)), is right")


def _named(batch: Any) -> Tensors:
    if not isinstance(batch, Mapping):
        kind = type(batch).__name__
        raise InputError(f'the batch is of type {kind}; a dict, such as {{"input": X, "targets": y}}, is right')
    return dict(batch)


def to_float(batch: Any, params: Tree) -> Any:
    """Returns the batch with bytes 0..255 as numbers in [0, 1] of the parameters' dtype; anything else stays."""
    leaves = jax.tree.leaves(params)
    dtype = leaves[0].dtype if leaves else jnp.float32
    return jax.tree.map(lambda a: a.astype(dtype) / 255 if a.dtype == jnp.uint8 else a, batch)
