"""Why a loss of several outputs differs while they agree: PyTorch's with one of its functions altered."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import torch

from parity.arrays.key import Key, Record
from parity.arrays.layout import inverse, mapped, named_leaves, transposed
from parity.arrays.torch_arrays import to_numpy
from parity.blame.diagnosis import Cause
from parity.blame.diagnosis.cause import choose
from parity.blame.diagnosis.functions import Altering, function_trials
from parity.blame.diagnosis.functions.altering import Choice, Find
from parity.blame.diagnosis.functions.numbers import number_trials
from parity.blame.diagnosis.functions.table import alternatives_of
from parity.blame.diagnosis.losses.factors import constant, one_factor
from parity.blame.diagnosis.threads import one_thread
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.models.torch_precision import torch_precision
from parity.reference.turns import arguments
from parity.sides.flax import FlaxRun, imposed, named_tensors, precision
from parity.sides.torch import TorchRun
from parity.twin.twin import State, Twin


class Answering:
    """A model that answers every call with the same outputs, and has the parameters of another."""

    def __init__(self, model: torch.nn.Module, outputs: Any):
        self.named_parameters = model.named_parameters
        self.outputs = outputs

    def __call__(self, *inputs: torch.Tensor) -> Any:
        return self.outputs


@one_thread()
def of_several(twin: Twin, state: State, oracle: Record, flax: Record, answers: Sequence[Key]) -> Cause | None:
    """Returns the function under which value and gradients of all outputs are Flax's.

    answers: the outputs in the records
    """
    run = TorchRun(twin, "float64", "cpu")
    run.load(state)
    turn = twin.torch.turns[0]
    tensors = run.batch(twin.batches[0])
    outputs = _outputs(run, twin, tensors)
    names = [name for name, x in named_leaves(outputs, "output") if x.is_floating_point()]

    def altering(choice: Choice, find: Find = alternatives_of) -> tuple[list[np.ndarray], Altering]:
        mode = Altering(torch.nn.Module(), choice, find=find)
        fresh = mapped(_leaf, outputs, "output")
        leaves = dict(named_leaves(fresh, "output"))
        with torch.enable_grad(), torch_precision("float64"), mode:
            loss = turn.objective(cast(Any, Answering(run.model, fresh)), tensors | {"input": ()})[0]
        loss = loss.mean()  # one number, whatever an alteration makes of it
        grads = torch.autograd.grad(loss, [leaves[name] for name in names], allow_unused=True, materialize_grads=True)
        return [to_numpy(loss), *map(to_numpy, grads)], mode

    shapes = {key.tensor: oracle[key].shape for key in answers}
    loss = flax[Key(1, "forward", "loss", turn.name)]
    ours = [np.asarray(loss, np.float64), *_flax_gradients(twin, state, {name: shapes[name] for name in names})]
    theirs, _ = altering(lambda function, number: None)
    numbers = number_trials(altering, theirs, ours)
    return choose(
        theirs, ours, chain(function_trials(altering), numbers, one_factor(theirs, ours, ()), constant(theirs, ours))
    )


def _outputs(run: TorchRun, twin: Twin, tensors: dict[str, Any]) -> Any:
    drawing = ImposedOnTorch(twin.torch_numbers(twin.batches[0]))
    with torch.no_grad(), torch_precision("float64"), drawing:
        return run.model.train()(*arguments(tensors["input"]))


def _leaf(value: Any, name: str) -> Any:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    return value.detach().clone().requires_grad_()


def _flax_gradients(twin: Twin, state: State, shapes: dict[str, tuple[int, ...]]) -> list[np.ndarray]:
    """Returns the gradients of Flax's loss with respect to its outputs of these names, in PyTorch's layout."""
    run = FlaxRun(twin, "float64", jax.devices("cpu")[0])
    with precision(run.device, dtype=run.dtype):
        params, buffers = run.load(state)
        tensors = run.tensors(twin.batches[0])
        zeros = [
            jnp.zeros(transposed(np.empty(shape), inverse(twin.axes[name])).shape) for name, shape in shapes.items()
        ]

        def loss(moves: list[jax.Array]) -> jax.Array:
            def moved(path: Any, module: Any, call: Any, args: tuple, kwargs: dict) -> Any:
                output = call(*args, **kwargs)
                return output if path else _plus(output, dict(zip(shapes, moves, strict=True)))

            function = lambda nets, _: twin.flax.turns[0].objective(nets, named_tensors(tensors))[0]  # noqa: E731
            with imposed(tensors, True):
                return jnp.sum(run.flax.run(function, params, buffers, None, train=True, around=moved)[0])

        gradients = jax.grad(loss)(zeros)
        return [np.asarray(transposed(g, twin.axes[name])) for name, g in zip(shapes, gradients, strict=True)]


def _plus(outputs: Any, moves: dict[str, jax.Array]) -> Any:
    """Returns the outputs, with a move added to each of those names."""
    return mapped(lambda x, name: x + moves[name] if name in moves else x, outputs, "output")
