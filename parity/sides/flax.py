"""Flax's side: `d2l_jax.train.step` over the twin's batches, recorded in PyTorch's names and layout."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from d2l_jax.cpu import compile as users
from d2l_jax.functional import Tree
from d2l_jax.train import TrainState, make_epoch, step
from d2l_jax.train.steps import Seen
from d2l_jax.turns import Tensors, Turn
from d2l_jax.weights.leaf import Leaf, export, place
from parity.arrays.key import Arrays, Key, Phase, Record, in_phases
from parity.arrays.layout import Axes, named_leaves, transposed
from parity.environment import Device, jax_precision
from parity.models.exact import exact
from parity.models.random_numbers import imposed_on_jax
from parity.sides.constants import Shift, flax_constants, shifting, unmoved, with_constants
from parity.sides.quick import quickly
from parity.sides.slots import SlotMap
from parity.twin.twin import Batch, FlaxHalf, State

IN_A_ROW = 2  # steps in a scan
NO_STEP = cast(jax.Array, np.int32(0))  # a state's count of steps, by which nothing goes here
RANDOM_NUMBERS = "random_numbers"  # the name under which a batch carries its random numbers into the step
EVALUATION_NUMBERS = "evaluation_numbers"  # and those of evaluation, where anything is drawn there


@contextmanager
def precision(device: Device, tf32: bool = False, dtype: str = "float64") -> Iterator[None]:
    """Computes within the block on that device, in float64, or as an ordinary program, where JAX knows no float64.

    Products of float32 are what they say, unless TF32 is asked for.
    """
    matmul = jax.default_matmul_precision(jax_precision(tf32))
    numbers = exact() if dtype == "float64" else jax.enable_x64(False)
    with numbers, jax.default_device(device), matmul:
        yield


class FlaxRun:
    """Flax's model in one precision, and the step that users run; its programs are compiled once.

    In low precision every step is one of a scan, as users train: same compiler options, the state donated.
    """

    def __init__(self, twin: FlaxHalf, dtype: str, device: Device, tf32: bool = False):
        self.twin = twin
        self.dtype = dtype
        self.device = device
        self.tf32 = tf32
        self.flax = twin.flax.model.in_precision(dtype)
        self.turns = twin.flax.turns
        self.trained = [leaf for leaf in twin.leaves if leaf.trained]
        self.buffers = [leaf for leaf in twin.leaves if not leaf.trained]
        self.fixed = [leaf for leaf in twin.resting if leaf.trained]
        self.slots = [SlotMap(twin.trained(turn.trains)) for turn in self.turns]
        self._opt_state: tuple[Any, ...] = ()
        self._before: tuple[Any, ...] = ()
        self.constants = flax_constants(self.flax.buffers, twin.leaves)
        self.shift: Shift = unmoved
        self.length = min(IN_A_ROW, len(twin.batches))
        with precision(device, tf32, dtype):
            self._step = compiled(self._watched, dtype, device)
            self._evaluate = compiled(self._observed, dtype, device)
            self._epoch = make_epoch(self._one_of)
            self._start = users.jit(partial(TrainState.start, turns=self.turns))

    def teacher_forced(self, states: Sequence[State]) -> Record:
        """Evaluates, then takes the twin's steps, each from the state that PyTorch has been in."""
        slots = {slot for state in states for slot in state.slot_names}
        record: Record = {}
        for number in range(1, len(self.twin.batches) + 1):
            record |= self.taken(number, states[number - 1], slots, states[number])
        return record

    def taken(
        self, number: int, state: State, slots: set[str], after: State | None = None, batch: Batch | None = None
    ) -> Record:
        """Takes the step of that number from that state; before the first, the evaluation.

        slots: the names of PyTorch's slots. The counters of the optimiser go on from step to step.
        after: PyTorch's state after the step; what it holds after the first tells which slot is which
        batch: in the place of the step's own
        """
        batch = batch or self.twin.batches[number - 1]
        with precision(self.device, self.tf32, self.dtype):
            params, buffers = self.load(state)
            record = self._evaluated(number, params, buffers, batch) if number == 1 or not self.turns else {}
            if not self.turns:
                return record
            before = self._start(params, buffers).opt_state if number == 1 else self._opt_state
            self._before = self._opt_state
            opt_state = tuple(
                held.place(own, state, slots, self.dtype) for own, held in zip(before, self.slots, strict=True)
            )
            weights = export(self.trained, params)
            seen = next(self._in_a_row(TrainState(params, buffers, opt_state, NO_STEP), [self.tensors(batch)]))
            rates = (after or state).rates
            for turn, held, moment in zip(self.turns, self.slots, seen, strict=True):
                if after is not None and held.verified is None:
                    held.verify(moment.opt_state, after)
                record |= self._seen(number, turn, held.trained, moment, weights)
                record |= held.record(Key(number, "optimizer", "", turn.name), moment.opt_state, slots, rates)
                weights |= export(held.trained, moment.params)
            self._opt_state = tuple(moment.opt_state for moment in seen)
            return record

    def shifted(self, shift: Shift, number: int, state: State, slots: set[str], after: State | None = None) -> Record:
        """Takes the step once more with the model's constants moved; the counters stay where they are."""
        before = self._opt_state
        self._opt_state = self._before
        try:
            with shifting(self, shift):
                return self.taken(number, state, slots, after)
        finally:
            self._opt_state = before

    def free(self, keep: Callable[[Record], Record] = dict) -> Record:
        """Takes all steps in a row: parameters and buffers after each.

        keep: what of a step's record stays
        """
        record: Record = {}
        with precision(self.device, self.tf32, self.dtype):
            params, buffers = self.load(self.twin.start)
            state = self._start(params, buffers)
            batches = [self.tensors(batch) for batch in self.twin.batches]
            for number, seen in enumerate(self._in_a_row(state, batches), 1):
                arrays = export(self.trained, seen[-1].params) | export(self.buffers, seen[-1].buffers)
                record |= keep({Key(number, "after", name): array for name, array in arrays.items()})
        return record

    def _in_a_row(self, state: TrainState, batches: list[Tensors]) -> Iterator[list[Seen]]:
        """Takes a step on each batch, and yields what is seen of its turns.

        All scans have one length, since each would be compiled for itself: a step that stands alone is taken twice.
        """
        if self.dtype == "float64":
            for batch in batches:
                state, seen = self._step(state, batch)
                yield seen
            return
        while batches:
            row = batches[: self.length]
            row = row if len(row) == self.length and _stackable(row) else row[:1]
            repeated = [row[min(n, len(row) - 1)] for n in range(self.length)]
            data = jax.tree.map(lambda *arrays: np.stack(arrays), *repeated)
            _, all_seen = self._epoch(state, data, jnp.arange(self.length)[:, None])
            for number in range(len(row)):
                seen = jax.tree.map(lambda a, n=number: _numbers(a)[n], all_seen)
                state = TrainState(seen[-1].params, seen[-1].buffers, tuple(m.opt_state for m in seen), NO_STEP)
                yield seen
            batches = batches[len(row) :]

    def load(self, state: State) -> tuple[Tree, Tree]:
        """Returns (params, buffers) of that state; nothing is shared with the model, since a step donates its state."""
        params = place(self.trained, state.tensors, self.flax.params, self.dtype)
        buffers = place(self.buffers, state.tensors, self.flax.buffers, self.dtype)
        buffers = with_constants(buffers, self.constants, self.dtype, self.shift)
        return params, jax.tree.map(lambda x, own: jnp.copy(x) if x is own else x, buffers, self.flax.buffers)

    def tensors(self, batch: Batch) -> Tensors:
        """Returns the tensors and the random numbers in this precision; integers stay."""

        def cast(array: Any) -> jax.Array:  # by numpy: JAX would compile a program for each shape
            floating = np.issubdtype(array.dtype, np.floating)
            return jnp.asarray(array.astype(jnp.dtype(self.dtype)) if floating else array)

        exact = "float32" if self.dtype == "bfloat16" else self.dtype  # a rounded number may cross a dropout's rate
        numbers = tuple(jnp.asarray(x.astype(exact)) for x in batch.random_numbers)
        evaluation = tuple(jnp.asarray(x.astype(exact)) for x in batch.evaluation_numbers)
        own = {EVALUATION_NUMBERS: evaluation} if evaluation else {}
        return jax.tree.map(cast, batch.tensors) | {RANDOM_NUMBERS: numbers} | own

    def stepped(self, state: TrainState, batch: Tensors, watch: Any = None) -> TrainState:
        """Takes the step of `d2l_jax.train` in training mode, on the random numbers that the batch carries."""
        named = named_tensors(batch)
        with imposed_on_jax(batch[RANDOM_NUMBERS]):
            return step(partial(self.flax.run, train=True), self.turns, state, named, watch)[0]

    def _watched(self, state: TrainState, batch: Tensors) -> tuple[TrainState, list[Seen]]:
        """Takes the training step, with everything in between shown."""
        seen = list[Seen]()
        return self.stepped(state, batch, lambda _, moment: seen.append(moment)), seen

    def _one_of(self, state: TrainState, stacked: Tensors) -> tuple[TrainState, list[Seen]]:
        """Takes the step on the one batch of `stacked`; in the place of an epoch's metrics stands what is seen."""
        return self._watched(state, jax.tree.map(lambda a: a[0], stacked))

    def _observed(self, params: Tree, buffers: Tree, tensors: Tensors) -> tuple[Tensors, Tree]:
        observe = self.twin.flax.observe or (lambda nets, tensors: {})
        with imposed(tensors, train=False):
            return self.flax.run(observe, params, buffers, named_tensors(tensors), train=False)

    def _evaluated(self, number: int, params: Tree, buffers: Tree, batch: Batch) -> Record:
        tensors, buffers = self._evaluate(params, buffers, self.tensors(batch))
        arrays = self._named(tensors) | export(self.buffers, buffers)
        return {Key(number, "evaluation", name): array for name, array in arrays.items()}

    def _seen(self, number: int, turn: Turn, leaves: list[Leaf], seen: Seen, before: Arrays) -> Record:
        """Returns the record of one turn.

        before: the parameters before the turn
        """
        after = export(leaves, seen.params)
        phases: dict[Phase, Arrays] = {
            "forward": self._named(seen.tensors) | {"loss": np.array(seen.loss)},
            "gradients": export(leaves, seen.gradients) | self._named(seen.input_gradients),
            "buffers": export(self.buffers, seen.buffers) | export(self.fixed, seen.params),
            "update": {name: array - before[name] for name, array in after.items()},
        }
        return in_phases(number, turn.name, phases)

    def _named(self, tensors: Tensors) -> Arrays:
        leaves = [leaf for name, value in tensors.items() for leaf in named_leaves(value, name)]
        return {name: _in_order(array, self.twin.axes.get(name, ())) for name, array in leaves}


def named_tensors(batch: Tensors) -> Tensors:
    """Returns a batch without the random numbers that it carries: what objectives are called with."""
    return {name: value for name, value in batch.items() if name not in (RANDOM_NUMBERS, EVALUATION_NUMBERS)}


def imposed(batch: Tensors, train: bool) -> AbstractContextManager[None]:
    """Answers requests within by the random numbers that a batch carries for a mode, if it does."""
    numbers = batch.get(RANDOM_NUMBERS if train else EVALUATION_NUMBERS, ())
    return imposed_on_jax(numbers) if numbers else nullcontext()


def _numbers(array: jax.Array) -> Any:
    """Returns the array in numpy, whose parts need no program; keys of random numbers as they are."""
    return array if jnp.issubdtype(array.dtype, jax.dtypes.prng_key) else np.asarray(array)


def _stackable(batches: list[Tensors]) -> bool:
    return len({str(jax.tree.map(jnp.shape, batch)) for batch in batches}) == 1


def compiled(function: Callable, dtype: str, device: Device) -> Callable:
    """Returns the function jitted as users jit it; in float64 on a CPU, where speed is nothing, less optimised."""
    return quickly(function, device) if dtype == "float64" else users.jit(function)


def _in_order(array: jax.Array, axes: Axes) -> np.ndarray:
    return np.array(transposed(np.asarray(array), axes) if array.ndim == len(axes) else array, order="C")
