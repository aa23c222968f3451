"""One run of the Flax side: a flat dict {phase/name: numpy array} in PyTorch's names and layout."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from d2l_jax.functional import Tree, eval_view, functional, train_view
from d2l_jax.train import TrainState
from parity.environment import Device, jax_precision
from parity.randomness import imposed_on_jax
from parity.twin import Step, Twin
from parity.weights import Leaf, export, leaves, load_state_dict

# Optax's name of an optimiser's slot -> PyTorch's.
SLOTS = {"trace": "momentum_buffer", "mu": "exp_avg", "nu": "exp_avg_sq", "count": "step"}

Record = dict[str, np.ndarray]


def run_flax(twin: Twin, dtype: str, device: Device, kept: tuple[int, ...], tf32: bool = False) -> Record:
    """Evaluates, then trains on the twin's steps; parameters and optimiser are recorded after the `kept` ones."""
    with jax.enable_x64(True), jax.default_device(device), jax.default_matmul_precision(jax_precision(tf32)):
        return _run(twin, dtype, device, kept)


def _run(twin: Twin, dtype: str, device: Device, kept: tuple[int, ...]) -> Record:
    model = load_state_dict(nnx.clone(twin.model), twin.weights, dtype=dtype)
    tensors = leaves(model)
    trained = [leaf for leaf in tensors if leaf.trained]
    buffers = [leaf for leaf in tensors if not leaf.trained]
    state, record = TrainState.create(train_view(model), twin.optimizer), {}
    record["evaluation/output"], after = evaluate(twin, model, dtype, device)
    record |= _named("evaluation", buffers, after)
    step = compiled(lambda *args: train_step(twin, *args), dtype, device)
    for number, given in enumerate(twin.steps[: max(kept)], 1):
        state, (loss, output, (grads, input_grad)) = step(state, *_arrays(given, dtype))
        if number == 1:
            record["forward/output"] = images_first(output, twin.images_out)
            record["forward/loss"] = np.asarray(loss)
            record["gradients/input"] = images_first(input_grad, twin.images_in)
            record |= _named("gradients", trained, grads)
            record |= _named("buffers", buffers, state.buffers)
        if number in kept:
            record |= _named(f"step {number}", trained, state.params)
            record |= _named(f"step {number}", buffers, state.buffers)
            record |= optimizer_state(f"step {number}", trained, state.opt_state)
    return record


def train_step(
    twin: Twin, state: TrainState, inputs: jax.Array, targets: jax.Array, draws: tuple[jax.Array, ...]
) -> tuple[TrainState, Any]:
    """The gradient and the update that `d2l_jax.make_train_step` takes, with everything in between shown."""
    gradient = jax.value_and_grad(twin.objective, argnums=(0, 2), has_aux=True)
    with imposed_on_jax(draws):
        (loss, (output, buffers)), grads = gradient(state.params, state.buffers, inputs, targets)
    return state.update(twin.optimizer, grads[0], buffers), (loss, output, grads)


def evaluate(twin: Twin, model: nnx.Module, dtype: str, device: Device) -> tuple[np.ndarray, Tree]:
    """The output in evaluation mode, and the buffers, which it must leave alone."""
    apply, params, buffers = functional(eval_view(model))
    inputs, _, _ = _arrays(twin.steps[0], dtype)
    output, buffers = compiled(apply, dtype, device)(params, buffers, inputs)
    return images_first(output, twin.images_out), buffers


def compiled(function: Callable, dtype: str, device: Device) -> Callable:
    """Jitted as users jit it; in float64 on CPU, where speed does not matter, compiled with less optimisation."""
    quick = dtype == "float64" and device.platform == "cpu"
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 1} if quick else None)


def _arrays(step: Step, dtype: str) -> tuple[jax.Array, jax.Array, tuple[jax.Array, ...]]:
    targets = step.targets if np.issubdtype(step.targets.dtype, np.integer) else step.targets.astype(dtype)
    draws = tuple(jnp.asarray(draw, dtype) for draw in step.draws)
    return jnp.asarray(step.inputs, dtype), jnp.asarray(targets), draws


def _named(phase: str, tensors: list[Leaf], tree: Tree) -> Record:
    return {f"{phase}/{name}": array for name, array in export(tensors, tree).items()}


def images_first(array: jax.Array, images: bool) -> np.ndarray:
    """(batch, height, width, channels) -> (batch, channels, height, width)."""
    return np.asarray(array.transpose(0, 3, 1, 2) if images else array)


def optimizer_state(phase: str, trained: list[Leaf], opt_state: Any) -> Record:
    """Every slot of every transformation in the chain, under PyTorch's names: `exp_avg:net.0.weight`."""
    record: Record = {}
    for part in jax.tree.leaves(opt_state, is_leaf=lambda node: hasattr(node, "_fields")):
        for slot, value in getattr(part, "_asdict", dict)().items():
            if isinstance(value, dict):
                named = export(trained, value)
            else:
                named = {leaf.key: np.asarray(value) for leaf in trained}
            record |= {f"{phase}/{SLOTS.get(slot, slot)}:{key}": array for key, array in named.items()}
    return record
