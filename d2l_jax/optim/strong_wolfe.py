"""A line search for the strong Wolfe conditions, as PyTorch's, which brackets a step and zooms in."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

ARMIJO = 1e-4
CURVATURE = 0.9
LEAST_CHANGE = 1e-9  # below which a bracket is not searched
LONGEST = 10.0  # factor of a step to the next
SHORTEST = 0.01  # of the last increase, at which the next begins
MARGIN = 0.1  # of the bracket, at either end


class Trial(NamedTuple):
    """A step along the direction.

    t: its length
    loss, gradient: there
    slope: of the loss along the direction
    """

    t: Float[Array, ""]
    loss: Float[Array, ""]
    gradient: Float[Array, " n"]
    slope: Float[Array, ""]


class Zoom(NamedTuple):
    """A bracket that shrinks; the second end is the lower one where `second_is_low`."""

    first: Trial
    second: Trial
    second_is_low: Bool[Array, ""]
    stalled: Bool[Array, ""]
    done: Bool[Array, ""]
    evaluations: Int[Array, ""]


def strong_wolfe(
    trial: Callable[[Float[Array, ""]], Trial],
    start: Trial,
    t: Float[Array, ""],
    longest: Float[Array, ""],
    most: Int[Array, ""],
) -> tuple[Trial, Int[Array, ""]]:
    """Returns a step that satisfies both conditions, or the lowest seen, and the number of evaluations.

    trial:   evaluates a step's length
    start:   the step of length 0
    t:       the first length
    longest: the direction's largest number
    most:    evaluations after the first
    """

    def going_on(carry: tuple) -> Bool[Array, ""]:
        before, new, count = carry
        return (count < most) & ~(_too_high(start, before, new, count) | _satisfied(start, new) | (new.slope >= 0))

    def next_step(carry: tuple) -> tuple:
        before, new, count = carry
        least = new.t + SHORTEST * (new.t - before.t)
        return new, trial(interpolated(before, new, least, LONGEST * new.t)), count + 1

    first = (start, trial(t), jnp.zeros((), jnp.int32))
    before, new, count = jax.lax.while_loop(going_on, next_step, first)
    exhausted = count >= most
    done = ~exhausted & ~_too_high(start, before, new, count) & _satisfied(start, new)
    other = choose(exhausted, start, choose(done, new, before))
    off = jnp.zeros((), bool)
    zoom = Zoom(other, new, ~(other.loss <= new.loss), off, done, count)
    zoom = jax.lax.while_loop(lambda z: _worth(z, longest, most), lambda z: _zoomed(trial, start, z), zoom)
    return choose(zoom.second_is_low, zoom.second, zoom.first), zoom.evaluations + 1


def _too_high(start: Trial, before: Trial, new: Trial, count: Int[Array, ""]) -> Bool[Array, ""]:
    return _above_armijo(start, new) | ((count > 1) & (new.loss >= before.loss))


def _above_armijo(start: Trial, new: Trial) -> Bool[Array, ""]:
    return new.loss > start.loss + ARMIJO * new.t * start.slope


def _satisfied(start: Trial, new: Trial) -> Bool[Array, ""]:
    return jnp.abs(new.slope) <= -CURVATURE * start.slope


def _worth(zoom: Zoom, longest: Float[Array, ""], most: Int[Array, ""]) -> Bool[Array, ""]:
    narrow = jnp.abs(zoom.second.t - zoom.first.t) * longest < LEAST_CHANGE
    return ~zoom.done & (zoom.evaluations < most) & ~narrow


def _zoomed(trial: Callable[[Float[Array, ""]], Trial], start: Trial, zoom: Zoom) -> Zoom:
    least = jnp.minimum(zoom.first.t, zoom.second.t)
    most = jnp.maximum(zoom.first.t, zoom.second.t)
    t = interpolated(zoom.first, zoom.second, least, most)
    margin = MARGIN * (most - least)
    near = jnp.minimum(most - t, t - least) < margin
    moved = near & (zoom.stalled | (t >= most) | (t <= least))
    inside = jnp.where(jnp.abs(t - most) < jnp.abs(t - least), most - margin, least + margin)
    new = trial(jnp.where(moved, inside, t))

    low = choose(zoom.second_is_low, zoom.second, zoom.first)
    high = choose(zoom.second_is_low, zoom.first, zoom.second)
    worse = _above_armijo(start, new) | (new.loss >= low.loss)
    done = ~worse & _satisfied(start, new)
    turned = ~worse & ~done & (new.slope * (high.t - low.t) >= 0)
    new_high = choose(worse, new, choose(turned, low, high))
    new_low = choose(worse, low, new)
    first = choose(zoom.second_is_low, new_high, new_low)
    second = choose(zoom.second_is_low, new_low, new_high)
    second_is_low = jnp.where(worse, ~(first.loss <= second.loss), zoom.second_is_low)
    return Zoom(first, second, second_is_low, near & ~moved, done, zoom.evaluations + 1)


def interpolated(one: Trial, other: Trial, least: Float[Array, ""], most: Float[Array, ""]) -> Float[Array, ""]:
    """Returns the minimum of the cubic through two steps, within bounds; their middle where it has none."""
    near = choose(one.t <= other.t, one, other)
    far = choose(one.t <= other.t, other, one)
    between = one.slope + other.slope - 3 * (one.loss - other.loss) / (one.t - other.t)
    square = between**2 - one.slope * other.slope
    root = jnp.sqrt(jnp.maximum(square, 0))
    minimum = far.t - (far.t - near.t) * ((far.slope + root - between) / (far.slope - near.slope + 2 * root))
    return jnp.where(square >= 0, jnp.minimum(jnp.maximum(minimum, least), most), (least + most) / 2)


def choose(condition: Bool[Array, ""], one: Trial, other: Trial) -> Trial:
    """Returns `one` where the condition holds, else `other`."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), one, other)
