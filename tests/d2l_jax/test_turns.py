"""Turns: what they move, what a watch sees, and the one line for each that cannot be right."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from d2l_jax import InputError, TrainState, losses, make_eval_step, make_train_step, models, optim, supervised
from d2l_jax.catalog import get
from d2l_jax.functional import parts, train_view
from d2l_jax.train import make_epoch, step
from d2l_jax.turns import Observed, Turn, check_turns, name_of, parameter_names, parted, united

NAMES = ["net_D.0.weight", "net_D.0.bias", "net_G.0.weight"]


def turn(trains: str, name: str = "") -> Turn:
    return Turn(lambda nets, tensors: (jnp.zeros(()), {}), partial(optim.SGD, lr=0.1), trains, name)


def test_a_leaf_that_two_turns_train_is_refused():
    with pytest.raises(InputError, match="turn 'one' and turn 'two' both train net_D.0.weight; one turn is right"):
        check_turns([turn("net_D.", "one"), turn("", "two")], NAMES)
    check_turns([turn("net_D.", "one"), turn("net_G.", "two")], NAMES)


def test_a_prefix_that_matches_nothing_is_refused():
    with pytest.raises(InputError, match='the turn without a name trains "net_X.", which no parameter starts with'):
        check_turns([turn("net_X.")], NAMES)
    with pytest.raises(InputError, match='trains "head."'):
        TrainState.create(get("mlp").build(), (turn("head."),))


def test_two_turns_of_one_name_are_refused():
    """The later one's loss would take the place of the earlier one's."""
    with pytest.raises(InputError, match="turn 'one' is there twice; a name of its own for each turn is right"):
        check_turns([turn("net_D.", "one"), turn("net_G.", "one")], NAMES)


@pytest.mark.slow
def test_a_turn_may_replace_a_tensor_of_the_batch_and_a_watch_leaves_it_so():
    case = get("gan")

    def replacing(nets, tensors):
        loss, more = models.discriminator_loss(nets, tensors)
        return loss, more | {"Z": 3 * tensors["Z"]}

    turns = (case.turns[0]._replace(objective=replacing), case.turns[1])
    run, params, buffers = parts(train_view(case.build()))
    start = TrainState.start(params, buffers, turns)
    seen = []
    plain, tensors = step(run, turns, start, batch_of("gan"))
    watched, _ = step(run, turns, start, batch_of("gan"), watch=lambda turn, moment: seen.append(moment))
    jax.tree.map(np.testing.assert_array_equal, plain.params, watched.params)
    assert "Z" in seen[0].input_gradients and "Z" not in seen[1].input_gradients
    other, _ = step(run, case.turns, start, batch_of("gan"))
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), plain.params["net_G"], other.params["net_G"])
    assert any(jax.tree.leaves(moved)), "control: the second turn meets what the first has put there"


def test_a_state_of_other_turns_is_refused():
    case = get("gan")
    run, params, buffers = parts(train_view(case.build()))
    state = TrainState.start(params, buffers, case.turns[:1])
    with pytest.raises(InputError, match="the state is of 1 turns, the step of 2; the same turns are right"):
        step(run, case.turns, state, batch_of("gan"))


def test_an_evaluation_without_a_loss_is_refused():
    case = get("gan")
    model = case.build()
    _, params, buffers = parts(train_view(model))
    with pytest.raises(InputError, match='a "loss" among them is right'):
        make_eval_step(model, case.observe, {})(params, buffers, batch_of("gan"))


OTHER: Any = ()
OBSERVED: Any = Observed(losses.cross_entropy)
SUPERVISED = supervised(losses.cross_entropy, partial(optim.SGD, lr=0.1))
WRONG_CALLS: dict[str, tuple[Any, ...]] = {
    "observe is turns": (make_eval_step, nnx.Linear, SUPERVISED),
    "observe is of type int": (make_eval_step, nnx.Linear, 3),
    "turns are of type Turn;": (make_train_step, nnx.Linear, SUPERVISED[0]),
    "turns are of type function;": (make_train_step, nnx.Linear, losses.cross_entropy),
    "turns are of type Observed;": (TrainState.create, nnx.Linear, Observed(losses.cross_entropy)),
    "the model is the class MLP; an nnx": (make_eval_step, models.MLP, Observed(losses.cross_entropy)),
    "the model is a str; an nnx": (make_train_step, "mlp", SUPERVISED),
    "the batch is of type tuple; a dict": (lambda *made: make_eval_step(*made)({}, {}, OTHER), nnx.Linear, OBSERVED),
    "the batch has 'X', no 'input' and no 'targets'": (lambda net, loss: loss(net, {"X": 0}), nnx.Linear, OBSERVED),
}


@pytest.mark.parametrize("words", WRONG_CALLS)
def test_a_wrong_call_of_a_step_is_one_line(words):
    with pytest.raises(InputError) as error:
        call, model, given = WRONG_CALLS[words]
        call(nnx.Linear(2, 3, rngs=nnx.Rngs(0)) if model is nnx.Linear else model, given)
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


def test_parts_of_a_tree_are_united_again():
    params = parts(get("gan").build()).params
    moving, fixed = parted(params, "net_D.")
    assert list(moving) == ["net_D"] and list(fixed) == ["net_G"]
    assert jax.tree.structure(united(moving, fixed)) == jax.tree.structure(params)
    assert parameter_names(moving) == [name for name in parameter_names(params) if name.startswith("net_D.")]
    assert name_of(("net", "0", "kernel")) == "net.0.weight"


def batch_of(name: str) -> dict:
    case = get(name)
    random = np.random.default_rng(0)
    if case.draw:
        return jax.tree.map(jnp.asarray, case.draw(random))
    X = random.normal(size=(4, *case.arrays[0].shape[1:])).astype(np.float32)
    return {"input": jnp.asarray(X), "targets": jnp.array([0, 1, 1, 0])}


def test_a_frozen_part_stays_and_the_head_learns():
    case = get("frozen-features")
    state = TrainState.create(case.build(), case.turns)
    before = jax.tree.map(np.array, state.params)
    after, metrics = make_train_step(case.build(), case.turns)(state, batch_of("frozen-features"))
    same = jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), before, after.params)
    assert all(jax.tree.leaves(same["features"])) and not any(jax.tree.leaves(same["fc"]))
    assert np.isfinite(metrics["loss"]) and not np.array_equal(after.buffers["features"]["1"]["mean"], 0)


def test_each_turn_moves_its_own_net_and_reports_its_own_loss():
    case = get("gan")
    model = case.build()
    state = TrainState.create(model, case.turns)
    before = jax.tree.map(np.array, state.params)
    state, metrics = make_train_step(model, case.turns, {})(state, batch_of("gan"))
    assert set(metrics) == {"discriminator_loss", "generator_loss"}
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before, state.params)
    assert all(jax.tree.leaves(moved)) and len(state.opt_state) == 2


def test_the_second_turn_sees_what_the_first_has_moved():
    """The generator's loss is that of the discriminator after its update, as the book trains."""
    case = get("gan")
    batch = batch_of("gan")
    run, params, buffers = parts(train_view(case.build()))
    _, both = step(run, case.turns, TrainState.start(params, buffers, case.turns), batch)
    _, alone = step(run, case.turns[1:], TrainState.start(params, buffers, case.turns[1:]), batch)
    assert both["generator_loss"] != alone["generator_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["frozen-features", "gan", "valley"])
def test_a_watch_changes_nothing(name: str):
    """Runs operation by operation, so that no compiler rounds the one program otherwise than the other."""
    case = get(name)
    batch = batch_of(name)
    seen = []
    run, params, buffers = parts(train_view(case.build()))
    start = TrainState.start(params, buffers, case.turns)
    plain, _ = step(run, case.turns, start, batch)
    watched, _ = step(run, case.turns, start, batch, watch=lambda turn, moment: seen.append((turn, moment)))
    assert [turn.name for turn, _ in seen] == [turn.name for turn in case.turns]
    jax.tree.map(np.testing.assert_array_equal, (plain.params, plain.opt_state), (watched.params, watched.opt_state))
    first, moment = seen[0]
    assert parameter_names(moment.gradients) == parameter_names(parted(params, first.trains)[0])


def test_the_step_is_the_same_in_a_scan():
    case = get("mlp")
    model = case.build()
    turns = supervised(losses.cross_entropy, optim.SGD(lr=0.1, momentum=0.9))
    random = np.random.default_rng(0)
    data = {
        "input": jnp.asarray(random.normal(size=(12, 28, 28, 1)).astype(np.float32)),
        "targets": jnp.asarray(random.integers(0, 10, 12)),
    }
    train_step = make_train_step(model, turns)
    rows = jnp.arange(12).reshape(3, 4)
    scanned, _ = make_epoch(train_step)(TrainState.create(model, turns), data, rows)
    state = TrainState.create(model, turns)
    for some in rows:
        state, _ = train_step(state, jax.tree.map(lambda a, some=some: a[some], data))
    assert int(scanned.step) == int(state.step) == 3
    for a, b in zip(jax.tree.leaves(scanned.params), jax.tree.leaves(state.params)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_gradient_descent_on_the_valley_follows_its_formula():
    """x shrinks by 1 - 2 lr and 1 - 4 lr at each step (book, section 12.3)."""
    case = get("valley")
    state = TrainState.create(case.build(), case.turns)
    train_step = make_train_step(case.build(), case.turns, {})
    for _ in range(20):
        state, _ = train_step(state, {})
    np.testing.assert_allclose(state.params["x"], [-5 * 0.8**20, -2 * 0.6**20], rtol=1e-5)


def test_a_case_of_several_nets_is_built_by_name():
    nets = get("gan").build()
    assert isinstance(nets, nnx.Dict) and isinstance(nets["net_D"], type(models.discriminator(rngs=nnx.Rngs(0))))
