"""Value iteration and Q-learning on the frozen lake, with the pictures of chapter 17, and how fast a device walks."""

import argparse
import statistics
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

from d2l_jax.algorithms import (
    frozen_lake,
    in_gymnasium,
    policy_iteration,
    q_learning,
    success_rate,
    uniforms,
    value_iteration,
)
from d2l_jax.algorithms.q_learning import falling_rate

matplotlib.use("Agg")
from matplotlib import pyplot as plt

ARROWS = "←↓→↑"
SEEDS = 100

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, help="for the pictures; else a temporary one")
folder = parser.parse_args().folder or Path(tempfile.mkdtemp())
folder.mkdir(parents=True, exist_ok=True)
calm = frozen_lake()
slippery = frozen_lake(slippery=True)
ends = np.asarray(calm.ends)


def draw(axes, title, values, policy):
    """Draws the value of each cell as a colour and a number, and the policy as an arrow."""
    axes.imshow(values.reshape(4, 4), cmap="Blues", vmin=0, vmax=1)
    for state, (value, action) in enumerate(zip(values, policy, strict=True)):
        arrow = "" if ends[state] else ARROWS[action] + "\n"
        colour = "white" if value > 0.6 else "black"
        axes.text(state % 4, state // 4, f"{arrow}{value:.2f}", ha="center", va="center", size=8, color=colour)
    axes.set(title=title, xticks=[], yticks=[])


def seconds_of(call):
    """Returns the median time of five calls after one that may compile."""
    call()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


plan = value_iteration(calm.mdp(), gamma=0.95, sweeps=10)
figure, axes = plt.subplots(2, 5, figsize=(11, 5), layout="constrained")
for sweep, place in enumerate(axes.flat):
    draw(place, f"sweep {sweep}", np.asarray(plan.values[sweep]), np.asarray(plan.policy[sweep]))
figure.savefig(folder / "value_iteration.png", dpi=120)
print("value of the start, calm ice, after each sweep:", *(f"{value:.4f}" for value in plan.values[:, 0]))

learn = jax.jit(jax.vmap(lambda key: q_learning(calm, uniforms(key))))
tables = learn(jax.random.split(jax.random.key(0), SEEDS))
rates = jax.vmap(lambda table: success_rate(calm, table.argmax(-1), jax.random.key(1), 1))(tables.table)
print(f"Q-learning, calm ice, 256 episodes: {int(rates.sum())} of {SEEDS} seeds reach the goal")

exact = policy_iteration(slippery.mdp())
best_policy = value_iteration(slippery.mdp(), sweeps=100).policy[-1]
falling = jnp.interp(jnp.arange(4000.0), jnp.asarray([0.0, 2000.0]), jnp.asarray([1.0, 0.05]))
learned = q_learning(slippery, uniforms(jax.random.key(0), 4000), alpha=falling_rate, epsilon=falling, random_ties=True)
values = learned.table.max(-1)
best = success_rate(slippery, best_policy, jax.random.key(1))
rate = success_rate(slippery, learned.table.argmax(-1), jax.random.key(1))
print(f"slippery ice: the start is worth {exact[0]:.4f}; the best policy reaches the goal in {best:.1%} of 4,096 walks")
print(
    f"Q-learning, 4,000 episodes: largest error of a value {jnp.abs(values - exact).max():.4f}, {rate:.1%} of the walks"
)

figure, axes = plt.subplots(1, 2, figsize=(5, 2.8), layout="constrained")
draw(axes[0], "exact", np.asarray(exact), np.asarray(best_policy))
draw(axes[1], "Q-learning", np.asarray(values), np.asarray(learned.table.argmax(-1)))
figure.savefig(folder / "slippery.png", dpi=120)

policy = learned.table.argmax(-1)
seconds = seconds_of(lambda: success_rate(slippery, policy, jax.random.key(2)).block_until_ready())
print(f"{4096 * 100 / seconds / 1e6:.1f} million steps a second with 4,096 walkers")

if find_spec("gymnasium"):
    import gymnasium

    draws = uniforms(jax.random.key(0))
    compiled = seconds_of(lambda: q_learning(calm, draws).table.block_until_ready())
    looped = seconds_of(lambda: in_gymnasium.q_learning(gymnasium.make("FrozenLake-v1", is_slippery=False), draws))
    print(f"256 episodes of Q-learning: {1e3 * compiled:.2f} ms compiled, {1e3 * looped:.0f} ms in gymnasium")

for name in ("value_iteration.png", "slippery.png"):
    print(folder / name)
