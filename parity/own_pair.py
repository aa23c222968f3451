"""`parity.check`: a case of the catalogue by name, or two models of a user's own."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import linen, nnx

from d2l_jax import optim
from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from parity.arrays.layout import copied, named_leaves, of_inputs
from parity.compare.rows import POLICY, Policy
from parity.match import load_map, match
from parity.models.flax_model import FlaxModel, LinenModel, NNXModel, mode
from parity.proof.proof import check_case, check_twin
from parity.result import Result
from parity.twin.pairing import check_structure, make_twin
from parity.twin.torch_side import namesake, torch_optimizer
from parity.twin.twin import STEPS, Learning, Twin
from parity.weights.rules import Leaf, leaves

Pair = tuple[Any, Any]
PLAIN_SGD = partial(optim.SGD, lr=0.1)


def check(
    model: nnx.Module | linen.Module | str,
    torch_model: torch.nn.Module | None = None,
    inputs: Any = None,
    *,
    variables: Any = None,
    loss: Callable | Pair | None = None,
    optimizer: Callable | Pair = PLAIN_SGD,
    scheduler: Callable | None = None,
    before_step: Callable | None = None,
    weights: str | Path | Sequence[Leaf] | None = None,
    outputs: Literal["scores", "values"] = "values",
    steps: int = STEPS,
    layers: bool = True,
    device: str = "cpu",
    tf32: bool = False,
    policy: Policy = POLICY,
    tiers: tuple[str, ...] = ("float64", "float32"),
) -> Result:
    """Are a Flax module and a PyTorch module the same? Or, with a name alone, a case of the catalogue.

    model, torch_model: NNX or Linen, and PyTorch; neither is changed. Which tensor is which, is found by names
                        where all of them agree, else by structure and values
    inputs:    one batch, an array or a tuple of them; images as (batch, height, width, channels)
    variables: of a Linen module; None initialises it
    loss:      a function of `d2l_jax.losses`, or (Flax's, PyTorch's), each of (outputs, targets); None is the
               squared distance of all outputs to random numbers
    optimizer: a `partial` of a factory of `d2l_jax.optim`, or (an Optax transformation, a function that makes
               PyTorch's optimiser of the parameters)
    scheduler: of PyTorch's optimiser, `lambda optimizer: StepLR(optimizer, 2)`; Optax has it in its rate
    before_step: what PyTorch does with its gradients, `lambda model: clip_grad_norm_(model.parameters(), 1.0)`
    weights:   a map that was found before: `parity.save_map(result.weights, path)`, or its path
    outputs:   targets are random classes for "scores", else random numbers
    steps:     training steps, each on a batch of its own
    layers:    each layer on its own, too; without, a check takes half the time
    tf32:      let a GPU round float32 products to TF32 on both sides

    Raises InputError where the two cannot correspond.
    """
    if isinstance(model, str):
        return check_case(get(model), device=device, tf32=tf32, policy=policy, steps=steps, tiers=tiers, layers=layers)
    if torch_model is None or inputs is None:
        raise InputError("parity.check needs a Flax model, a PyTorch model and inputs, or the name of a case")
    given = tuple(map(np.asarray, inputs if isinstance(inputs, tuple) else (inputs,)))
    twin = twin_of_pair(
        model,
        torch_model,
        given,
        variables,
        loss,
        optimizer,
        weights,
        outputs == "scores",
        steps,
        scheduler,
        before_step,
    )
    found = check_twin(twin, device=device, tf32=tf32, policy=policy, tiers=tiers, layers=layers)
    return replace(found, weights=twin.leaves)


def twin_of_pair(
    model: nnx.Module | linen.Module,
    torch_model: torch.nn.Module,
    inputs: tuple[np.ndarray, ...],
    variables: Any = None,
    loss: Callable | Pair | None = None,
    optimizer: Callable | Pair = PLAIN_SGD,
    weights: str | Path | Sequence[Leaf] | None = None,
    labels: bool = False,
    steps: int = STEPS,
    scheduler: Callable | None = None,
    before_step: Callable | None = None,
) -> Twin:
    """See `check`."""
    if steps < 1:
        raise InputError(f"steps={steps} is too few; 1 or more is right")
    for x in inputs:
        if not x.size:
            raise InputError(f"inputs of shape {x.shape} are empty: there would be nothing to compare")
        if np.issubdtype(x.dtype, np.floating) and not np.all(np.isfinite(x)):
            raise InputError("inputs have values that are not finite")
    flax = _flax_model(model, variables, inputs)
    tensors = _weight_map(flax, model, torch_model, inputs, weights)
    random = np.random.default_rng(0)
    batches = [tuple(map(_float32, inputs))]
    batches += [tuple(_like(x, random) for x in inputs) for _ in range(steps - 1)]
    learning = _learning(flax.name, loss, optimizer, scheduler, before_step)
    return make_twin(flax.name, flax, torch_model, tensors, batches, learning, labels, random)


def _float32(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) if np.issubdtype(x.dtype, np.floating) else x


def _like(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Another batch of the same kind: the rows in another order, numbers disturbed by a tenth."""
    x = x[random.permutation(len(x))] if x.ndim else x
    if not np.issubdtype(x.dtype, np.floating):
        return x
    return (x + 0.1 * np.std(x) * random.normal(size=x.shape)).astype(np.float32)


def _flax_model(model: nnx.Module | linen.Module, variables: Any, inputs: tuple) -> FlaxModel:
    if isinstance(model, nnx.Module):
        return NNXModel(nnx.clone(model))
    if isinstance(model, linen.Module):
        flags: dict[str, Any] = mode(type(model).__call__, False)
        made: Any = variables or model.init(jax.random.key(0), *map(jnp.asarray, inputs), **flags)
        return LinenModel(model, made)
    raise InputError(
        f"parity.check compares a Flax module, NNX or Linen, with PyTorch's; {type(model).__name__} is none"
    )


def _weight_map(flax: FlaxModel, model: Any, torch_model: torch.nn.Module, inputs: tuple, weights: Any) -> list[Leaf]:
    if isinstance(weights, str | Path):
        return load_map(Path(weights))
    if weights is not None:
        return list(weights)
    named, by_name = leaves(model) if isinstance(model, nnx.Module) else [], None
    try:
        if named:
            check_structure(flax.name, model, torch_model)  # type: ignore[arg-type]
            return named
    except InputError as error:  # other names, or other tensors: the structure will tell
        by_name = error
    torch_inputs = tuple(torch.as_tensor(copied(x, of_inputs(x.ndim))) for x in inputs)
    try:
        return match(flax, torch_model, inputs, torch_inputs)
    except InputError:
        if 2 * len({leaf.key for leaf in named} & torch_model.state_dict().keys()) > len(named):
            # Most of the names are the same: those that are not, are the news.
            raise by_name or InputError(flax.name) from None
        raise


def _learning(
    name: str,
    loss: Callable | Pair | None,
    optimizer: Callable | Pair,
    scheduler: Callable | None,
    before_step: Callable | None,
) -> Learning:
    flax_loss, torch_loss = _losses(loss)
    torch_make: Callable[[torch.nn.Module], torch.optim.Optimizer]
    if isinstance(optimizer, tuple):
        transformation, make = optimizer
        if not isinstance(transformation, optax.GradientTransformation) or not callable(make):
            raise InputError("optimizer=(an Optax transformation, a function of PyTorch's parameters) is right")
        torch_make = lambda model: cast(torch.optim.Optimizer, make(model.parameters()))  # noqa: E731
    else:
        if not isinstance(optimizer, partial) or optimizer.args:
            raise InputError(
                "optimizer is a partial of a factory of d2l_jax.optim with named options, or a pair for both sides;"
                f" {getattr(optimizer, '__name__', optimizer)!r} is neither"
            )
        case = Case(name, "", name, nnx.Module, (), optimizer=optimizer)
        transformation, torch_make = optimizer(), lambda model: torch_optimizer(case, model)
        namesake(optimizer, torch.optim)
    return Learning(
        lambda outputs, targets, params: flax_loss(outputs, targets),
        lambda outputs, targets, model: torch_loss(outputs, targets),
        transformation,
        torch_make,
        scheduler,
        before_step or (lambda model: None),
    )


def _losses(loss: Callable | Pair | None) -> Pair:
    if loss is None:
        return _squares(jnp), _squares(torch)
    if isinstance(loss, tuple):
        return loss
    from parity.reference import losses

    return loss, namesake(loss, losses)


def _squares(numpy: Any) -> Callable:
    """Half the mean square of every output's distance to its target."""

    def loss(outputs: Any, targets: Any) -> Any:
        found = [array for _, array in named_leaves(outputs, "output")]
        wanted = targets if isinstance(targets, list) else [targets]
        floating = [(a, t) for a, t in zip(found, wanted, strict=True) if "float" in str(a.dtype)]
        return sum(numpy.mean((a - t) ** 2) / 2 for a, t in floating)

    return loss
