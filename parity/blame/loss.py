"""Why the loss differs while the outputs agree."""

import warnings
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import torch

from parity.arrays.key import Key, Record
from parity.arrays.layout import inverse, transposed
from parity.blame.diagnosis import Cause, explain_loss, explain_tensor
from parity.blame.diagnosis.cause import choose
from parity.blame.loss_of_several import Answering, of_several
from parity.reference.turns import Supervised
from parity.sides.flax import FlaxRun, precision
from parity.sides.torch import TorchRun
from parity.twin.twin import State, Twin

OTHER = 1e-9  # of the largest slope

Losses = tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], np.ndarray, torch.Tensor]


def of_loss(twin: Twin, state: State, oracle: Record, flax: Record) -> Cause | None:
    turn = twin.torch.turns[0]
    answers = _answers(twin, oracle)
    loss_key = Key(1, "forward", "loss", turn.name)
    objective = turn.objective
    if of_one := _of_one_output(twin, state, oracle):
        loss, outputs, targets = of_one
        gradient = _loss_gradient(twin, outputs, state)
        loss = _ignoring(loss, outputs, targets)
        cause = explain_loss(loss, outputs, targets.numpy(), float(flax[loss_key]), gradient)
        if not cause and outputs.shape == targets.shape and outputs.shape[1:] == (1,):
            text = f"Flax broadcasts {outputs.shape} against {outputs.shape[:1]}: every output meets every target"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                met = loss(torch.tensor(outputs), targets[:, 0]).detach().numpy()
            cause = choose([oracle[loss_key]], [flax[loss_key]], [("broadcast", text, [met])])
        if cause:
            return cause
    elif isinstance(objective, Supervised) and answers:
        cause = of_several(twin, state, oracle, flax, answers)
        if cause:
            return cause
    return explain_tensor(oracle[loss_key], flax[loss_key])


def is_loss_other_backward(twin: Twin, state: State, oracle: Record) -> bool:
    """Tells whether Flax's loss gives a model's only output another gradient than PyTorch's does."""
    if not (of_one := _of_one_output(twin, state, oracle)):
        return False
    loss, outputs, targets = of_one
    given = torch.tensor(outputs, requires_grad=True)
    loss(given, targets).sum().backward()
    ours = _loss_gradient(twin, outputs, state)
    theirs = np.zeros_like(outputs) if given.grad is None else given.grad.numpy()
    return ours is not None and np.abs(ours - theirs).max() > OTHER * np.abs(theirs).max()


def _answers(twin: Twin, oracle: Record) -> list[Key]:
    name = twin.torch.turns[0].name
    return [key for key in oracle if key[:2] == (1, "forward") and key.turn == name and key.is_output]


def _of_one_output(twin: Twin, state: State, oracle: Record) -> Losses | None:
    """Returns PyTorch's loss, its only output and the targets, where the objective is a loss of these."""
    run = TorchRun(twin, "float64", "cpu")
    run.load(state)
    answers = _answers(twin, oracle)
    targets = run.batch(twin.batches[0]).get("targets")
    objective = twin.torch.turns[0].objective
    if [key.tensor for key in answers] != ["output"] or not isinstance(objective, Supervised):
        return None
    if not isinstance(targets, torch.Tensor):
        return None

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return objective(cast(Any, Answering(run.model, outputs)), {"input": (), "targets": targets})[0]

    return loss, oracle[answers[0]], targets


def _loss_gradient(twin: Twin, outputs: np.ndarray, state: State) -> np.ndarray | None:
    """The gradient of Flax's loss with respect to the outputs, in PyTorch's layout."""
    batch = twin.batches[0]
    axes = twin.axes["output"]
    run = FlaxRun(twin, "float64", jax.devices("cpu")[0])
    with precision(run.device, dtype=run.dtype):
        params, buffers = run.load(state)
        tensors = run.tensors(batch)
        given = jnp.asarray(transposed(outputs, inverse(axes)))

        def loss(outputs: jax.Array) -> jax.Array:
            function = lambda nets, _: twin.flax.turns[0].objective(nets, tensors)[0]  # noqa: E731
            answer = lambda path, module, call, args, kwargs: call(*args, **kwargs) if path else outputs  # noqa: E731
            return jnp.sum(run.flax.run(function, params, buffers, None, train=True, around=answer)[0])

        gradient = jax.grad(loss)(given)
        return np.asarray(transposed(gradient, axes))


class _Ignoring:
    """A loss that tells which label it leaves out, as PyTorch's modules do."""

    def __init__(self, loss: Callable, ignore_index: int):
        self.loss = loss
        self.ignore_index = ignore_index

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.loss(outputs, targets)


def _ignoring(loss: Callable, outputs: np.ndarray, targets: torch.Tensor) -> Callable:
    """The label all of whose rows receive no gradient from PyTorch's loss is the one that it leaves out."""
    if targets.is_floating_point() or outputs.ndim != 2:
        return loss
    given = torch.tensor(outputs, requires_grad=True)
    loss(given, targets).sum().backward()
    silent = set(targets[(given.grad == 0).all(1)].tolist()) if given.grad is not None else set()
    return _Ignoring(loss, silent.pop()) if len(silent) == 1 else loss
