"""Flax's side: a run over the twin's batches, in PyTorch's names and layout, as `run_torch` gives it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from parity.arrays.layout import Axes, named_leaves, transposed
from parity.environment import Device, jax_precision
from parity.models.attention import exact_attention
from parity.sides.keys import Record, input_names, phase
from parity.twin.draws import imposed_on_jax
from parity.twin.twin import Batch, State, Twin
from parity.weights.rules import Leaf, export, flatten, place

# Optax's name of an optimiser's slot -> PyTorch's; which of several, the other side's slots decide.
SLOTS = {
    "trace": ("momentum_buffer",),
    "mu": ("exp_avg", "grad_avg"),
    "nu": ("exp_avg_sq", "square_avg"),
    "nu_max": ("max_exp_avg_sq",),
    "sum_of_squares": ("sum",),
    "e_g": ("square_avg",),
    "e_x": ("acc_delta",),
    "count": ("step",),
}
# States of Optax that count updates for themselves: PyTorch has its schedulers outside the optimiser.
UNSEEN = ("ScaleByScheduleState", "InjectStatefulHyperparamsState")


@contextmanager
def precision(device: Device, tf32: bool = False) -> Iterator[None]:
    """Arrays may be float64, on that device; float32 products are what they say, unless TF32 is asked for."""
    matmul = jax.default_matmul_precision(jax_precision(tf32))
    with jax.enable_x64(True), jax.default_device(device), matmul, exact_attention():
        yield


class FlaxRun:
    """Flax's model and its optimiser, in one precision; its functions are compiled once."""

    def __init__(self, twin: Twin, dtype: str, device: Device, tf32: bool = False):
        self.twin, self.dtype, self.device, self.tf32 = twin, dtype, device, tf32
        self.flax = twin.flax.in_precision(dtype)
        self.trained = [leaf for leaf in twin.leaves if leaf.trained]
        self.kept = [leaf for leaf in twin.leaves if not leaf.trained]
        self._opt_state: Any = None
        with precision(device, tf32):
            self._step = compiled(self._train, dtype, device)
            self._evaluate = compiled(self._apply, dtype, device)

    def teacher_forced(self, states: Sequence[State]) -> Record:
        """Evaluates, then takes the twin's steps, each from the state that PyTorch has been in."""
        slots = {slot for state in states for given in state.slots.values() for slot in given}
        record: Record = {}
        for number in range(1, len(self.twin.batches) + 1):
            record |= self.taken(number, states[number - 1], slots)
        return record

    def taken(self, number: int, state: State, slots: set[str]) -> Record:
        """The step of that number from that state; before the first, the evaluation.

        slots: the names of PyTorch's slots. The counters of the optimiser go on from step to step.
        """
        with precision(self.device, self.tf32):
            params, buffers = self.load(state)
            record = self._evaluated(params, buffers) if number == 1 else {}
            before = self._init(params) if number == 1 else self._opt_state
            opt_state = self._with_slots(before, state, slots)
            taken, after = self._taken(number, self.twin.batches[number - 1], params, buffers, opt_state)
            self._opt_state = after[2]
            return record | taken | self._slots(phase(number, "optimizer"), after[2], slots)

    def free(self) -> Record:
        """All steps in a row: parameters and buffers after each, `1/conv.weight`."""
        record: Record = {}
        with precision(self.device, self.tf32):
            params, buffers = self.load(self.twin.start)
            opt_state = self._init(params)
            for number, batch in enumerate(self.twin.batches, 1):
                *_, (params, buffers, opt_state) = self._step(params, buffers, opt_state, *self.arrays(batch))
                record |= {f"{number}/{key}": a for key, a in self._tensors(params, buffers).items()}
        return record

    def load(self, state: State) -> tuple[Any, Any]:
        """(params, buffers) of that state."""
        params = place(self.trained, state.tensors, self.flax.params, self.dtype)
        return params, place(self.kept, state.tensors, self.flax.buffers, self.dtype)

    def arrays(self, batch: Batch) -> tuple[Any, Any, Any]:
        """(inputs, targets, draws) in this precision; integers stay."""
        floating = {True: self.dtype, False: None}
        cast = lambda a: jnp.asarray(a, floating[np.issubdtype(a.dtype, np.floating)])  # noqa: E731
        exact = "float32" if self.dtype == "bfloat16" else self.dtype  # a rounded number may cross a dropout's rate
        draws = tuple(jnp.asarray(draw, exact) for draw in batch.draws)
        return *jax.tree.map(cast, (batch.inputs, batch.targets)), draws

    def _init(self, params: Any) -> optax.OptState:
        return self.twin.learning.optimizer.init(params)

    def _apply(self, params: Any, buffers: Any, inputs: tuple) -> tuple[Any, Any]:
        return self.flax.apply(params, buffers, inputs, train=False)

    def _evaluated(self, params: Any, buffers: Any) -> Record:
        output, buffers = self._evaluate(params, buffers, self.arrays(self.twin.batches[0])[0])
        record = self._outputs("evaluation", output)
        return record | {f"evaluation/{name}": a for name, a in export(self.kept, buffers).items()}

    def _train(
        self, params: Any, buffers: Any, opt_state: Any, inputs: tuple, targets: Any, draws: tuple
    ) -> tuple[Any, Any, Any, Any, tuple[Any, Any, Any]]:
        """The update that a jitted training step takes, with everything in between shown."""
        learning, numbers = (
            self.twin.learning,
            [i for i, x in enumerate(inputs) if jnp.issubdtype(x.dtype, jnp.floating)],
        )

        def objective(params: Any, floating: list[jax.Array]) -> tuple[jax.Array, tuple[Any, Any]]:
            given = list(inputs)
            for number, x in zip(numbers, floating, strict=True):
                given[number] = x
            with imposed_on_jax(draws):
                outputs, changed = self.flax.apply(params, buffers, tuple(given), train=True)
            return learning.flax_loss(outputs, targets, params), (outputs, changed)

        gradient = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)
        (loss, (outputs, changed)), (grads, input_grads) = gradient(params, [inputs[i] for i in numbers])
        updates, opt_state = learning.optimizer.update(grads, opt_state, params)
        return loss, outputs, grads, input_grads, (optax.apply_updates(params, updates), changed, opt_state)

    def _taken(self, number: int, batch: Batch, params: Any, buffers: Any, opt_state: Any) -> tuple[Record, Any]:
        given = self.arrays(batch)
        loss, outputs, grads, input_grads, after = self._step(params, buffers, opt_state, *given)
        record = self._outputs(phase(number, "forward"), outputs)
        record[f"{phase(number, 'forward')}/loss"] = np.asarray(loss)
        record |= _named(phase(number, "gradients"), self.trained, grads)
        floating = [i for i, x in enumerate(batch.inputs) if np.issubdtype(x.dtype, np.floating)]
        for i, grad in zip(floating, input_grads, strict=True):
            name = input_names(len(batch.inputs))[i]
            record[f"{phase(number, 'gradients')}/{name}"] = _in_order(grad, self.twin.input_axes[i])
        record |= _named(phase(number, "buffers"), self.kept, after[1])
        before = export(self.trained, params)
        updates = {name: a - before[name] for name, a in export(self.trained, after[0]).items()}
        record |= {f"{phase(number, 'update')}/{name}": array for name, array in updates.items()}
        return record, after

    def _outputs(self, where: str, outputs: Any) -> Record:
        found = list(named_leaves(outputs, "output"))
        axes = self.twin.output_axes if len(found) == len(self.twin.output_axes) else [()] * len(found)
        return {f"{where}/{name}": _in_order(a, order) for (name, a), order in zip(found, axes, strict=True)}

    def _tensors(self, params: Any, buffers: Any) -> Record:
        return export(self.trained, params) | export(self.kept, buffers)

    def _slots(self, where: str, opt_state: Any, slots: set[str]) -> Record:
        """Every slot of every transformation in the chain, under PyTorch's names: `exp_avg:net.0.weight`."""
        record: Record = {}
        for part in _parts(opt_state):
            for field, value in part._asdict().items():
                name = _slot(field, slots)
                if isinstance(value, dict):
                    kept = self._with_slot(value)
                    record |= {f"{where}/{name}:{key}": a for key, a in export(kept, value).items()}
                elif name in slots:
                    record |= {f"{where}/{name}:{leaf.name}": np.asarray(value) for leaf in self.trained}
        return record

    def _with_slots(self, opt_state: Any, state: State, slots: set[str]) -> Any:
        """The optimiser's state with PyTorch's slots in it; counters go on by themselves."""

        def placed(part: Any) -> Any:
            if not hasattr(part, "_fields") or type(part).__name__ in UNSEEN:
                return part
            return part._replace(**{f: self._slot_tree(v, _slot(f, slots), state) for f, v in part._asdict().items()})

        return jax.tree.map(placed, opt_state, is_leaf=_is_part)

    def _slot_tree(self, tree: Any, slot: str, state: State) -> Any:
        given = {name: slots[slot] for name, slots in state.slots.items() if slot in slots}
        if not isinstance(tree, dict) or not given:
            return tree
        return place([leaf for leaf in self._with_slot(tree) if leaf.key in given], given, tree, self.dtype)

    def _with_slot(self, tree: dict) -> list[Leaf]:
        """Not all parameters have every slot: momentum may be one group's alone."""
        found = dict(flatten(tree))
        return [leaf for leaf in self.trained if found.get(leaf.path) is not None]


def _slot(field: str, slots: set[str]) -> str:
    names = SLOTS.get(field, (field,))
    return next((name for name in names if name in slots), names[0])


def _parts(opt_state: Any) -> list[Any]:
    parts = jax.tree.leaves(opt_state, is_leaf=_is_part)
    return [part for part in parts if hasattr(part, "_asdict") and type(part).__name__ not in UNSEEN]


def _is_part(node: Any) -> bool:
    """A transformation's own state; those that wrap others are looked into."""
    return hasattr(node, "_fields") and not any(_holds_parts(value) for value in node)


def _holds_parts(value: Any) -> bool:
    return isinstance(value, tuple) and (hasattr(value, "_fields") or any(hasattr(v, "_fields") for v in value))


def compiled(function: Callable, dtype: str, device: Device) -> Callable:
    """Jitted as users jit it; in float64 on CPU, where speed does not matter, compiled with less optimisation."""
    quick = dtype == "float64" and device.platform == "cpu"
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 1} if quick else None)


def _named(where: str, tensors: list[Leaf], tree: Any) -> Record:
    return {f"{where}/{name}": array for name, array in export(tensors, tree).items()}


def _in_order(array: jax.Array, axes: Axes) -> np.ndarray:
    return np.asarray(transposed(array, axes) if array.ndim == len(axes) else array)
