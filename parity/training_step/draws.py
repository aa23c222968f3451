"""Random numbers within the steps, dropout's mostly: both sides are given the same ones."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import torch

from d2l_jax.errors import InputError
from parity.blame.lines import line_of_caller
from parity.models.keys_of_draws import draws_in, origin, repeated
from parity.models.random_numbers import RandomRequest, imposed_on_jax, partners, requested
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.training_step.noise import Noise, paired_noise
from parity.training_step.pair import StepPair, in_tier
from parity.training_step.torch_memory import rounded
from parity.twin.fields_of_pairing import numbers_of
from parity.twin.paired_requests import Pairing, pairings


@dataclass(frozen=True)
class Draws:
    """The random numbers of every step in PyTorch's layout, in the order in which JAX asks for them.

    Behind them are those for what PyTorch alone drops.

    noise: for each that PyTorch draws, which of JAX's it is
    """

    steps: list[tuple[np.ndarray, ...]]
    noise: Noise

    def on_torch(self, number: int) -> ImposedOnTorch:
        """Returns what PyTorch's step of that number is taken within."""
        return ImposedOnTorch([self.steps[number - 1][place] for place in self.noise.pairing.order])

    @contextmanager
    def on_jax(self, number: int, dtype: str) -> Iterator[None]:
        """Gives JAX's step its numbers within the block; a program that was compiled before would draw its own."""
        jax.clear_caches()
        arrays = [self.noise.on_jax(place, array) for place, array in enumerate(self.steps[number - 1])]
        with imposed_on_jax([jnp.asarray(array, dtype) for array in arrays]):
            yield
        jax.clear_caches()


def with_draws(pair: StepPair) -> StepPair:
    """Returns the pair with random numbers imposed, where either side draws any.

    Dropout that one side alone has drops nothing.

    Raises InputError where the one draws what the other does not, and that is more than a dropout which is sure.
    """
    pair.torch.put(rounded(pair.torch.original), "float32")
    with ImposedOnTorch(place=line_of_caller) as drawing:
        pair.torch.taken(1, "float32")
    anew = torch.initial_seed() == 1  # which a step has begun with, and which no step has set again
    if not drawing.seen and not pair.jax.draws(pair.batches[0]):
        return pair
    jax.clear_caches()
    with in_tier("float32"):
        leaves = pair.jax.state.leaves
        run = lambda: [pair.jax.traced(leaves, pair.batches[0], "float32")[0].out_avals, jnp.zeros(())][1]  # noqa: E731
        ours = requested(run, place=line_of_caller)
    jax.clear_caches()
    try:
        noise = paired_noise(pair, ours, drawing.seen, _surely_paired)
    except InputError as error:
        raise InputError(f"{error}; steps that draw the same random numbers can be compared") from None
    random = np.random.default_rng(0)
    draws = Draws(list(numbers_of(noise.pairing, drawing.seen, len(pair.batches), random)), noise)
    pair.torch.within = draws.on_torch
    alone = {"dropping": noise.pairing.dropping, "extra": noise.pairing.extra}
    return replace(pair, within=draws.on_jax, repeated=_repeated(pair, ours, anew), **alone)


def _surely_paired(ours: Sequence[RandomRequest], theirs: Sequence[RandomRequest]) -> Pairing:
    """Returns the pairing; raises InputError where it is open which of several calls one side alone has."""
    found, *others = pairings(ours, theirs)
    if others:
        partners(ours, theirs)  # says where they differ
    return found


def _repeated(pair: StepPair, requests: list[RandomRequest], anew: bool) -> str:
    """Tells which of JAX's draws use a key again, within a step or in the next one.

    anew: PyTorch's numbers of each step are others
    """
    with in_tier("float32"):
        program, _, _ = pair.jax.traced(pair.jax.state.leaves, pair.batches[0], "float32")
    paths = [path for path, leaf in pair.jax.state.leaves.items() if hasattr(leaf, "dtype")]
    state = {path: origin(pair.jax.state.leaves[path]) for path in paths}
    batch = [object() for _ in program.in_avals[len(paths) :]]  # others in each step
    draws, results = draws_in(program, iter([*state.values(), *batch]))
    state |= dict(zip(pair.jax.state.leaves, results))
    following, _ = draws_in(program, iter([*(state[path] for path in paths), *batch]))
    if again := repeated(requests, draws):
        now, before = next(iter(again.items()))
        told = f"{requests[now]} by the key of {requests[before]}" + f", and {len(again) - 1} more" * (len(again) > 1)
        return f"JAX draws {told}: the same numbers, where PyTorch draws anew"
    if anew and draws and len(pair.batches) > 1 and [x.key for x in draws] == [x.key for x in following]:
        return "JAX draws the same numbers in every step, by a key that does not change; PyTorch draws anew"
    return ""
