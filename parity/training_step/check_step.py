"""`parity.check_step`: a user's own training step in JAX beside the one in PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import Any

import jax
import numpy as np
import torch
from torch.utils._pytree import tree_map

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf
from parity.arrays.torch_arrays import to_numpy
from parity.blame.lone_dropout import blame_lone, lone_rows
from parity.blame.repeated_keys import of_steps
from parity.compare.policy import POLICY, Policy
from parity.compare.probes import most_probes
from parity.environment import pinned, seeded
from parity.listening import listening
from parity.proof.checking import PROBES, TIERS
from parity.result import Result
from parity.training_step.blame import blame
from parity.training_step.by_hand import with_moments
from parity.training_step.by_name import named_map, spelt
from parity.training_step.draws import with_draws
from parity.training_step.free_run import free_run
from parity.training_step.halves import compared_in
from parity.training_step.jax_state import JaxState, JaxStep
from parity.training_step.judged import single_steps
from parity.training_step.pair import StepPair
from parity.training_step.roles import Roles, roles_of
from parity.training_step.settled import settled
from parity.training_step.several_optimizers import as_module, optimizers_of
from parity.training_step.stacked import taken_apart
from parity.training_step.torch_step import TorchStep, first_inputs
from parity.training_step.weight_map import Inputs, Weights, check_whole, copies_of, known_map, unpaired
from parity.training_step.wider import may_hold, narrowed, wider

ALONE = "the other side has no such thing: it goes on by itself, and is not compared"


@seeded()
def check_step(
    jax_step: Callable,
    jax_state: Any,
    torch_step: Callable,
    torch_model: torch.nn.Module | Mapping[str, torch.nn.Module] | Sequence[torch.nn.Module],
    torch_optimizer: torch.optim.Optimizer | Mapping[str, torch.optim.Optimizer] | Sequence[torch.optim.Optimizer],
    batches: Sequence[Any],
    *,
    weights: Weights = None,
    torch_state: Mapping[str, Any] | None = None,
    torch_batches: Sequence[Any] | None = None,
    policy: Policy = POLICY,
    tiers: tuple[str, ...] = TIERS,
    name: str = "training step",
) -> Result:
    """Checks whether a training step in JAX does what the one in PyTorch does, from equal states, batch by batch.

    jax_step:    (state, batch) -> the new state, or (state, loss), jitted or not; NNX objects may change in place.
                 A state that is a tuple may be several arguments: (params, opt_state, batch)
    jax_state:   a TrainState, NNX objects, or any tree of parameters, Optax's states, batch statistics, averages, keys
    torch_step:  (model, optimizer, batch) -> the loss, or None
    torch_model, torch_optimizer: or a dict or a tuple of several, as of a GAN, which the step gets as they are here
    batches:     one for each step, any tree of arrays; images as (batch, height, width, channels), which PyTorch's
                 step gets as (batch, channels, height, width)
    weights:     None finds the map; {"PyTorch's key": "path.in.the.state"}, or the map or its file of an earlier result
    torch_state: what PyTorch's step changes besides: {"ema": averaged model, "scheduler": scheduler}
    torch_batches: those of PyTorch's step where they are others
    Nothing of the arguments is changed. PyTorch's numbers are copied into the JAX state before the first step.
    Raises InputError where the two cannot correspond, and says why.
    """
    started = perf_counter()
    both = _batches(batches), _batches(batches if torch_batches is None else torch_batches)
    if len(both[0]) != len(both[1]):
        raise InputError(f"batches are {len(both[0])}, torch_batches {len(both[1])}; as many are right")
    _check_kinds(jax_step, torch_step, torch_model, torch_optimizer, tiers)
    step = JaxStep(jax_step, JaxState(jax_state))
    side = TorchStep(torch_step, torch_model, torch_optimizer, torch_state or {}, both[1], torch_batches is None)
    with pinned(), jax.default_matmul_precision("highest"), listening("parity.check_step") as listener:
        try:
            pair = _pair(step, side, both[0], weights)
            result = _result(pair, tiers, policy, lambda phase: listener(name, phase))
        finally:
            side.finish()
    return replace(result, name=name, seconds=perf_counter() - started)


def _result(pair: StepPair, tiers: tuple[str, ...], policy: Policy, tell: Callable[[str], None]) -> Result:
    pair = with_draws(pair)
    compared = compared_in(pair, tiers, policy)
    tell("each step from PyTorch's state")
    steps = single_steps(compared.pair, compared.tiers, compared.policy)
    beta = max(outcome.seen.beta for outcome in steps.outcomes)
    most = most_probes(steps.rows)
    several = len(pair.batches) > 1
    tell("all steps in a row")
    free, trajectory = free_run(compared.pair, compared.tiers, compared.policy, beta, most) if several else ({}, [])
    rows = {tier: [*compared.rows, *steps.rows[tier], *free.get(tier, [])] for tier in compared.tiers}
    tell("the first guilty place")
    guilty = blame(compared.pair, steps, rows, compared.rows)
    more, reuse = of_steps(pair.repeated)
    rows[compared.tiers[0]] += [*more, *lone_rows(pair.dropping, extra=pair.extra)]
    alone = blame_lone(pair.dropping, extra=pair.extra)
    guilty = guilty.with_others([alone]) if guilty and alone else guilty or alone
    return Result(
        "",
        "",
        sum(parameter.numel() for parameter in pair.torch.model.parameters()),
        rows,
        blame=guilty or reuse,
        trajectory=trajectory,
        settings={"probes": PROBES, "weights": "PyTorch's, copied into the JAX state"},
        skipped=compared.skipped | unpaired(pair.roles, pair.copies) | dict.fromkeys(compared.pair.held.alone, ALONE),
        weights=pair.leaves,
    )


def _batches(batches: Sequence[Any]) -> list[Any]:
    """Returns the batches with numpy arrays in them."""
    if not isinstance(batches, Sequence) or isinstance(batches, str) or not len(batches):
        raise InputError("batches is a list with a batch for each step, one or more")
    return [tree_map(_array, batch) for batch in batches]


def _array(x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return to_numpy(x)
    if hasattr(x, "todense"):  # JAX's and SciPy's
        kind = type(x).__name__
        raise InputError(f"batches hold a sparse {kind}; x.todense() is right, which either step may make sparse again")
    array = np.asarray(x) if hasattr(x, "__array__") or hasattr(x, "dtype") else x
    if hasattr(array, "dtype") and array.dtype.kind == "f" and np.any(np.isnan(array)):
        raise InputError("batches have values that are no numbers (NaN)")
    return array.astype(np.float32) if hasattr(array, "dtype") and array.dtype == np.float64 else array


def _check_kinds(jax_step: Any, torch_step: Any, model: Any, optimizer: Any, tiers: Any) -> None:
    for what, step in (("jax_step", jax_step), ("torch_step", torch_step)):
        if not callable(step):
            raise InputError(f"{what} is a {type(step).__name__}; a function is right")
    if as_module(model) is None:
        raise InputError(f"torch_model is a {type(model).__name__}; a torch.nn.Module, or a dict of some, is right")
    if not optimizers_of(optimizer):
        kind = type(optimizer).__name__
        raise InputError(f"torch_optimizer is a {kind}; an optimiser of PyTorch's, or a dict of some, is right")
    if isinstance(tiers, str) or not tiers or set(tiers) - set(TIERS):
        raise InputError(f"tiers={tiers!r} cannot be compared; some of {', '.join(map(repr, TIERS))} are right")


def _pair(step: JaxStep, side: TorchStep, batches: list[Any], weights: Weights) -> StepPair:
    roles = roles_of(step.state)
    if roles.copies and len(roles.params) < len(list(side.model.parameters())):
        side.set_aside()
    inputs = first_inputs(side)
    try:
        return _read(step, side, roles, batches, inputs, weights)
    except InputError:
        for apart in taken_apart(step, side.model):
            with suppress(InputError):
                return _read(apart, side, replace(roles_of(apart.state), model=None), batches, None, weights)
        raise


def _read(
    step: JaxStep, side: TorchStep, roles: Roles, batches: list[Any], inputs: Inputs | None, weights: Weights
) -> StepPair:
    """Returns the pair in these roles, or in a wider reading."""
    try:
        return _mapped(step, side, roles, batches, inputs, weights)
    except InputError:
        if not may_hold(roles, step.state, len(list(side.model.parameters()))):
            raise
        with suppress(InputError):
            return _mapped(step, side, wider(step.state, roles), batches, inputs, weights)
        raise


def _mapped(
    step: JaxStep, side: TorchStep, roles: Roles, batches: list[Any], inputs: Inputs, weights: Weights
) -> StepPair:
    """Returns the pair, where everything that either side trains has its counterpart in this reading of the state."""
    state = step.state
    slots = any(array.ndim for of_one in side.state().slots.values() for array in of_one.values())
    others = {name: lambda name=name: side.tensors_of(name) for name in side.others}

    def paired(tensors: list[Leaf]) -> StepPair:
        whole = narrowed(roles, tensors)
        copies = copies_of(whole, tensors, others)
        compared = {leaf.path for copy in copies for leaf in copy.leaves}
        return StepPair(step, side, with_moments(whole, state, compared, slots), tensors, copies, batches)

    tensors = known_map(state, roles, side.model, inputs, weights)
    if tensors is not None:
        check_whole(state, roles, side.model, tensors)
        return paired(tensors)
    named = weights if isinstance(weights, Mapping) else {}
    tensors = named_map(state, roles, side.model, side.moved(), named)
    check_whole(state, roles, side.model, tensors)
    return settled(paired, tensors, {*named, *spelt(tensors)})
