"""Why a loss differs: PyTorch's loss with one convention altered, or another formula, until it gives Flax's numbers."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from d2l_jax.errors import InputError
from parity.blame.diagnosis.cause import NOISE, Cause, agree, choose, distance
from parity.blame.diagnosis.functions.altering import Altering, Choice, Find
from parity.blame.diagnosis.functions.numbers import number_trials
from parity.blame.diagnosis.functions.table import alternatives_of
from parity.blame.diagnosis.functions.trials import function_trials
from parity.blame.diagnosis.losses.factors import constant, one_factor, scaled
from parity.blame.diagnosis.losses.formulas import classification, regression
from parity.blame.diagnosis.losses.options import inputs, options
from parity.blame.diagnosis.losses.trial import AlteredLoss, Loss
from parity.blame.diagnosis.tensors import explain_tensor
from parity.blame.diagnosis.threads import one_thread
from parity.models.torch_precision import torch_precision

# What a formula may raise where it does not fit outputs and targets.
UNFIT = (ArithmeticError, RuntimeError, ValueError, TypeError, IndexError)
HYPOTHESES: list[Callable[[Loss, torch.Tensor, torch.Tensor], Iterator[AlteredLoss]]] = [
    options,
    inputs,
    classification,
    regression,
]


@one_thread()
def explain_loss(
    loss: Loss,
    outputs: np.ndarray,
    targets: np.ndarray,
    flax_loss: float | np.ndarray,
    flax_grad: np.ndarray | None = None,
    noise: float = NOISE,
) -> Cause | None:
    """The one convention under which PyTorch's loss gives Flax's value and its gradient of the outputs.

    loss:      a function of (outputs, targets), or a module of `torch.nn`
    outputs:   float64, in PyTorch's layout; targets: class indices, or floating
    flax_grad: the gradient of Flax's loss with respect to `outputs`; None compares the value alone

    Returns None where they agree, and where no hypothesis explains the difference. Raises InputError where the
    gradient has another shape than the outputs.
    """
    if flax_grad is not None and flax_grad.shape != outputs.shape:
        raise InputError(f"the gradient has shape {flax_grad.shape}, the outputs {outputs.shape}; give one for each")
    x = torch.tensor(outputs, dtype=torch.float64)
    y = torch.as_tensor(np.array(targets))
    y = y.double() if y.is_floating_point() else y
    flax = [np.asarray(flax_loss, np.float64)] + ([] if flax_grad is None else [np.asarray(flax_grad, np.float64)])
    oracle = _evaluated(loss, x, y)[: len(flax)]
    if agree(oracle, flax, noise):
        return None
    cause = choose(oracle, flax, _candidates(loss, x, y, oracle, flax), noise)
    return cause or _by_numbers(oracle, flax, noise)


def _evaluated(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> list[np.ndarray]:
    """Value and gradient; of several values, the gradient of their sum."""
    x = x.clone().requires_grad_()
    with torch.enable_grad(), torch_precision("float64"):
        value = loss(x, y)
        (gradient,) = torch.autograd.grad(value.sum(), x, allow_unused=True, materialize_grads=True)
    return [value.detach().numpy(), gradient.numpy()]


def _candidates(
    loss: Loss, x: torch.Tensor, y: torch.Tensor, oracle: list[np.ndarray], flax: list[np.ndarray]
) -> Iterator[tuple[Any, ...]]:
    yield from scaled(loss, x, y, oracle, flax)
    yield from function_trials(_altering(loss, x, y, len(flax)))
    for hypothesis in HYPOTHESES:
        for name, text, altered in hypothesis(loss, x, y):
            try:
                yield name, text, _evaluated(altered, x, y)[: len(flax)]
            except UNFIT:
                continue
    yield from number_trials(_altering(loss, x, y, len(flax)), oracle, flax)
    yield from one_factor(oracle, flax, tuple(x.shape))
    yield from constant(oracle, flax)


def _altering(loss: Loss, x: torch.Tensor, y: torch.Tensor, count: int) -> Callable[..., Any]:
    """Returns what computes the loss with other options of its functions; one number stays one number."""
    axes = _evaluated(loss, x, y)[0].ndim

    def altering(choice: Choice, find: Find = alternatives_of) -> tuple[list[np.ndarray], Altering]:
        mode = Altering(torch.nn.Module(), choice, find=find)

        def altered(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            with mode:
                value = loss(x, y)
            return value if value.ndim == axes else value.mean()

        return _evaluated(altered, x, y)[:count], mode

    return altering


def _by_numbers(oracle: list[np.ndarray], flax: list[np.ndarray], noise: float) -> Cause | None:
    """Explains the gradient alone: the value may agree while the gradient does not."""
    if distance(oracle[:1], flax[:1], oracle[:1]) <= 100 * noise and len(flax) == 2:
        return explain_tensor(oracle[1], flax[1], noise)
    return None
