"""Chapter 17: the frozen lake, value iteration and Q-learning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from d2l_jax import algorithms
from d2l_jax.algorithms import in_gymnasium
from d2l_jax.algorithms.frozen_lake import MAP_4X4, MAP_8X8
from d2l_jax.algorithms.q_learning import falling_rate
from d2l_jax.errors import InputError

# Facts of the specification: the calm lake's values, the policy, and the start's value after each sweep.
VALUES = [0.773781, 0.814506, 0.857375, 0.814506, 0.814506, 0, 0.9025, 0, 0.857375, 0.9025, 0.95, 0, 0, 0.95, 1, 0]
POLICY = [1, 2, 1, 0, 1, 0, 1, 0, 2, 1, 1, 0, 0, 2, 2, 0]


def gymnasium_table(rows, slippery):
    """Returns the table that gymnasium's FrozenLake-v1 holds, written from its documentation, cell by cell."""
    height, width = len(rows), len(rows[0])
    table = {}
    for state in range(height * width):
        row, column = divmod(state, width)
        table[state] = {}
        for action in range(4):
            if rows[row][column] in "HG":
                table[state][action] = [(1.0, state, 0, True)]
                continue
            turned = [(action - 1) % 4, action, (action + 1) % 4] if slippery else [action]
            outcomes = []
            for direction in turned:
                r = min(row + 1, height - 1) if direction == 1 else max(row - 1, 0) if direction == 3 else row
                c = min(column + 1, width - 1) if direction == 2 else max(column - 1, 0) if direction == 0 else column
                cell = rows[r][c]
                outcomes.append((1 / len(turned), r * width + c, float(cell == "G"), cell in "HG"))
            table[state][action] = outcomes
    return table


def test_value_iteration_of_the_calm_lake():
    plan = algorithms.value_iteration(algorithms.frozen_lake().mdp(), gamma=0.95, sweeps=10)
    np.testing.assert_allclose(plan.values[-1], VALUES, atol=2e-6)
    np.testing.assert_array_equal(plan.policy[-1], POLICY)
    np.testing.assert_allclose(plan.values[:, 0], [0] * 6 + [0.773781] * 5, atol=2e-6)
    assert not np.array_equal(plan.values[5], plan.values[6])
    np.testing.assert_array_equal(plan.values[6], plan.values[7])


@pytest.mark.slow
def test_value_iteration_of_the_slippery_lake_ends_at_the_exact_values():
    mdp = algorithms.frozen_lake(slippery=True).mdp()
    exact = algorithms.policy_iteration(mdp)
    assert float(exact[0]) == pytest.approx(0.1805, abs=5e-5)
    np.testing.assert_allclose(algorithms.value_iteration(mdp, sweeps=1000).values[-1], exact, atol=1e-6)
    up = jnp.full(16, 3)
    assert float(algorithms.policy_values(mdp, up)[0]) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("rows", [MAP_4X4, MAP_8X8, ("SFG",), ("S", "H", "G")])
@pytest.mark.parametrize("slippery", [False, True])
def test_every_transition_is_gymnasiums(rows, slippery):
    lake = algorithms.frozen_lake(rows, slippery)
    table = gymnasium_table(rows, slippery)
    theirs = algorithms.mdp_from_table(table)
    np.testing.assert_allclose(lake.mdp().transitions, theirs.transitions, atol=1e-6)
    np.testing.assert_allclose(lake.mdp().rewards, theirs.rewards, atol=1e-6)
    for state in table:
        for action, outcomes in table[state].items():
            for number, (_, after, reward, _) in enumerate(outcomes):
                uniform = (number + 0.5) / len(outcomes)
                step = lake.step(jnp.asarray(state), jnp.asarray(action), jnp.asarray(uniform))
                assert (int(step[0]), float(step[1])) == (after, reward)


@pytest.mark.parametrize("slippery", [False, True])
def test_the_table_of_gymnasium_itself(slippery):
    ours = algorithms.frozen_lake(slippery=slippery).mdp()
    theirs = in_gymnasium.mdp(lake_of_gymnasium(slippery))
    np.testing.assert_allclose(ours.transitions, theirs.transitions, atol=1e-6)
    np.testing.assert_allclose(ours.rewards, theirs.rewards, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"alpha": falling_rate, "random_ties": True}], ids=["the book", "second edition"]
)
def test_the_same_numbers_lead_over_gymnasiums_calm_ice_step_by_step(options):
    draws = algorithms.uniforms(jax.random.key(3), episodes=40).astype(float)
    ours = algorithms.q_learning(algorithms.frozen_lake(), draws, **options)
    theirs = in_gymnasium.q_learning(lake_of_gymnasium(False), draws, **options)
    assert int(ours.visits.sum()) > 100
    np.testing.assert_array_equal(ours.visits, theirs.visits)
    np.testing.assert_array_equal(ours.lengths, theirs.lengths)
    np.testing.assert_allclose(ours.table, theirs.table, atol=1e-14)


def test_control_other_numbers_lead_elsewhere():
    draws = algorithms.uniforms(jax.random.key(3), episodes=40).astype(float)
    ours = algorithms.q_learning(algorithms.frozen_lake(), draws)
    theirs = in_gymnasium.q_learning(lake_of_gymnasium(False), 1 - draws)
    assert (ours.visits != theirs.visits).any()


def test_a_policy_succeeds_as_often_in_gymnasium():
    lake = algorithms.frozen_lake(slippery=True)
    policy = algorithms.value_iteration(lake.mdp(), sweeps=100).policy[-1]
    ours = float(algorithms.success_rate(lake, policy, jax.random.key(1)))
    theirs = in_gymnasium.success_rate(lake_of_gymnasium(True), policy, walkers=400)
    assert abs(ours - theirs) < 0.08  # three and a half deviations of 400 walks
    assert in_gymnasium.success_rate(lake_of_gymnasium(True), jnp.zeros(16, int), walkers=20) == 0


@pytest.mark.slow
def test_no_walk_goes_on_behind_its_end():
    gymnasium = pytest.importorskip("gymnasium")
    cliff = in_gymnasium.mdp(gymnasium.make("CliffWalking-v1"))  # its table has moves out of the goal
    assert float(algorithms.policy_iteration(cliff)[36]) == pytest.approx(-(1 - 0.95**13) / 0.05)  # 13 steps at -1
    taxi = in_gymnasium.mdp(gymnasium.make("Taxi-v4"))
    assert float(algorithms.policy_iteration(taxi).max()) == pytest.approx(20)  # the passenger is where it wants to


def test_a_walk_that_earns_twice_succeeds_once():
    class Meadow:
        def reset(self, *, seed=None):
            return 0, {}

        def step(self, action):
            return 0, 1.0, False, False, {}

    assert in_gymnasium.success_rate(Meadow(), jnp.zeros(1, int), walkers=2, limit=3) == 1


def test_environments_without_a_model_or_without_numbered_states_are_refused():
    pole = pytest.importorskip("gymnasium").make("CartPole-v1")
    with pytest.raises(InputError, match="the environment has no model"):
        in_gymnasium.mdp(pole)
    with pytest.raises(InputError, match="observation_space is Box.* as Discrete"):
        in_gymnasium.q_learning(pole, algorithms.uniforms(jax.random.key(0), 1))


def lake_of_gymnasium(slippery: bool):
    return pytest.importorskip("gymnasium").make("FrozenLake-v1", is_slippery=slippery)


def test_q_learning_finds_the_way_over_calm_ice():
    lake = algorithms.frozen_lake()
    learned = algorithms.q_learning(lake, algorithms.uniforms(jax.random.key(0), episodes=512))
    policy = learned.table.argmax(-1)
    assert float(algorithms.success_rate(lake, policy, jax.random.key(1), walkers=7)) == 1
    assert int(learned.lengths.sum()) == int(learned.visits.sum())
    assert not learned.table[jnp.asarray(lake.ends)].any()


def test_q_learning_of_the_second_edition_nears_the_values():
    lake = algorithms.frozen_lake(slippery=True)
    draws = algorithms.uniforms(jax.random.key(0), episodes=4000)
    epsilon = np.interp(np.arange(4000), (0, 2000), (1, 0.05))
    learned = algorithms.q_learning(lake, draws, alpha=falling_rate, epsilon=epsilon, random_ties=True)
    error = jnp.abs(learned.table.max(-1) - algorithms.policy_iteration(lake.mdp())).max()
    assert float(error) < 0.1
    rate = float(algorithms.success_rate(lake, learned.table.argmax(-1), jax.random.key(1)))
    nobody = float(algorithms.success_rate(lake, jnp.zeros(16, int), jax.random.key(1)))
    assert nobody < 0.1 < 0.5 < rate


def test_an_episode_that_never_ends_stops_at_the_limit():
    walled = algorithms.frozen_lake(("SF", "FF"))
    learned = algorithms.q_learning(walled, algorithms.uniforms(jax.random.key(0), episodes=3, limit=11))
    np.testing.assert_array_equal(learned.lengths, [11, 11, 11])
    np.testing.assert_array_equal(learned.returns, [0, 0, 0])


@pytest.mark.parametrize(
    ("rows", "line"),
    [((), "the same length"), (("SF", "F"), "the same length"), (("SX",), "not X"), (("FS",), "first cell")],
)
def test_a_map_that_is_none(rows, line):
    with pytest.raises(InputError, match=line):
        algorithms.frozen_lake(rows)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (None, "has no model"),
        ({}, "has no model"),
        ({0: {}}, "has no model"),
        ({0: {0: [(1, 0, 0)]}}, "has no model"),
        ({0: {0: None}}, "has no model"),
        ({0: {0: [("a", 0, 0, True)]}}, "has no model"),
        ({1: {0: [(1, 1, 0, True)]}}, "numbered from 0"),
        ({0: {0: [(1, 0, 0, True)]}, "a": {0: [(1, 0, 0, True)]}}, "numbered from 0"),
        ({0: {0: [(1, 1, 0, True)]}}, "leads to state 1; there are 1"),
        ({0: {0: [(0.5, 0, 0, True)]}}, "sum to 0.5, not to 1"),
        ({0: {0: [(2.0, 0, 0, True), (-1.0, 0, 0, True)]}}, "probability -1.0"),
        ({0: {0: [(np.nan, 0, 0, True)]}}, "probability nan"),
        ({0: {0: [(1.0, 0, np.inf, True)]}}, "reward inf"),
    ],
)
def test_an_environment_without_a_model(table, line):
    with pytest.raises(InputError, match=line):
        algorithms.mdp_from_table(table)
