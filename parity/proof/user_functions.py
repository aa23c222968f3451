"""One line for a function of a user's that raises while a pair is checked: loss, optimiser, scheduler, clipping."""

from collections.abc import Callable
from typing import Any, NoReturn

import jax
import numpy as np

from d2l_jax.errors import InputError, in_a_line
from d2l_jax.turns import arguments
from parity.arrays.layout import named_leaves
from parity.environment import jax_device
from parity.models.random_numbers import requested
from parity.models.random_numbers_torch import ImposedOnTorch
from parity.sides.flax import FlaxRun, named_tensors, precision
from parity.sides.torch import TorchRun
from parity.twin.twin import Twin


def explain(error: Exception, twin: Twin) -> None:
    """Raises InputError where a function of the user's raises by itself, or gives no number, on either side."""
    _torch(error, twin)
    _flax(error, twin)


def _refuse(error: Exception, what: str, raised: Exception | str) -> NoReturn:
    raise InputError(f"{what} {raised if isinstance(raised, str) else 'raises ' + in_a_line(raised)}") from error


def _tried(error: Exception, what: str, function: Callable, *args: Any) -> Any:
    try:
        return function(*args)
    except Exception as raised:  # of the user's own function, whatever it is
        _refuse(error, what, raised)


def _torch(error: Exception, twin: Twin) -> None:
    turn = twin.torch.turns[0]
    model = twin.torch.copied("float64", "cpu")
    optimizer = _tried(error, "optimizer: PyTorch's", turn.optimizer, model)
    if turn.scheduler:
        _tried(error, "scheduler", turn.scheduler, optimizer)
    run = TorchRun(twin, "float64", "cpu")
    run.load(twin.start)
    tensors = run.batch(twin.batches[0])
    shapes = _shapes(tensors["targets"])
    drawing = ImposedOnTorch(twin.torch_numbers(twin.batches[0]))
    what = f"loss: PyTorch's, on targets of shape {shapes},"
    with drawing:
        loss, _ = _tried(error, what, turn.objective, run.model.train(), tensors)
    if loss.ndim:
        _refuse(error, what, f"gives an array of shape {tuple(loss.shape)}; a number, such as its mean, is right")
    loss.backward()
    _tried(error, "before_step", turn.prepare, run.model)


def _flax(error: Exception, twin: Twin) -> None:
    with precision(jax_device("cpu")):
        run = FlaxRun(twin, "float64", jax_device("cpu"))
        tensors = named_tensors(run.tensors(twin.batches[0]))
        params, buffers = run.load(twin.start)
        turn = twin.flax.turns[0]
        what = f"loss: Flax's, on targets of shape {_shapes(tensors['targets'])},"
        shape: list[tuple[int, ...]] = []

        def objective(params: Any, buffers: Any, tensors: Any) -> None:
            (loss, _), _ = run.flax.run(turn.objective, params, buffers, tensors, train=True)
            shape.append(np.shape(loss))

        def outputs(params: Any, buffers: Any, tensors: Any) -> None:
            run.flax.run(lambda net, inputs: net(*arguments(inputs)), params, buffers, tensors["input"], train=True)

        requested(outputs, params, buffers, tensors)  # the model itself runs, or it is none of these functions
        _tried(error, what, requested, objective, params, buffers, tensors)
        if shape[0]:
            _refuse(error, what, f"gives an array of shape {shape[0]}; a number, such as its mean, is right")
        transformation = turn.transformation()
        state = _tried(error, "optimizer: Optax's", transformation.init, params)
        _tried(error, "optimizer: Optax's", jax.eval_shape, transformation.update, params, state, params)


def _shapes(targets: Any) -> str:
    return " and ".join(str(tuple(x.shape)) for _, x in named_leaves(targets, "targets"))
