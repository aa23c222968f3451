"""`parity.check`: a case of the catalogue by name, or two models of a user's own."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from flax import linen, nnx

from d2l_jax.errors import InputError
from d2l_jax.weights.leaf import Leaf
from parity.compare.policy import POLICY, Policy
from parity.environment import jax_device, seeded, torch_device
from parity.listening import listening
from parity.models.wrapped_model import linen_parts
from parity.pair_notes import notes_of, some
from parity.proof.checking import Checking
from parity.proof.compiled import with_compiled
from parity.proof.judging import Diverged
from parity.proof.proof import check_twin
from parity.proof.settled_masks import with_settled_masks
from parity.proof.user_functions import explain
from parity.result import Result
from parity.start.of_pair import Fresh, torch_module_of
from parity.start.told import with_start
from parity.twin.inputs import Inputs
from parity.twin.learning import PLAIN_SGD, SLOWER, FlaxAndTorch, Learning
from parity.twin.of_pair import twin_of_pair
from parity.twin.twin import STEPS, Twin

LIKELIEST = "(under the likeliest weight map: none was found under which the two agree)"


@seeded()
def check(
    model: nnx.Module | linen.Module | Callable[[], nnx.Module] | str,
    torch_model: torch.nn.Module | Callable[[], torch.nn.Module] | None = None,
    inputs: Any = None,
    *,
    variables: Any = None,
    loss: Callable | FlaxAndTorch | None = None,
    optimizer: Callable | FlaxAndTorch = PLAIN_SGD,
    scheduler: Callable | None = None,
    before_step: Callable | None = None,
    weights: str | Path | Sequence[Leaf] | None = None,
    start: Literal["inform", "compare"] = "inform",
    outputs: Literal["scores", "values"] | None = None,
    steps: int = STEPS,
    layers: bool = True,
    device: str = "cpu",
    tf32: bool = False,
    policy: Policy = POLICY,
    tiers: tuple[str, ...] = ("float64", "float32"),
    memory: float | None = None,
) -> Result:
    """Checks whether a Flax and a PyTorch module are the same; or, with a name alone, a case of the catalogue.

    model, torch_model: neither is changed; tensors are paired by names where all agree, else by structure and values;
               both train in their steps, but for two that are handed over in evaluation mode, which stay in it
    model:     or a function that makes an NNX module, `lambda: Net(nnx.Rngs(0))`, whose weights need not be drawn; or
               an object that holds a Linen module and its params, as Hugging Face's classes, and is called with them
    inputs:    one batch, an array, a tuple of them or a dict of keywords; images as (batch, height, width, channels)
    variables: of a Linen module; None initialises it
    loss:      a function of `d2l_jax.losses`, or (Flax's, PyTorch's), each of (outputs, targets); None is squares
    optimizer: a `partial` of a factory of `d2l_jax.optim`, or (an Optax transformation, parameters -> PyTorch's)
    scheduler: of PyTorch's optimiser, `lambda optimizer: StepLR(optimizer, 2)`; Optax has it in its rate
    before_step: what PyTorch does with its gradients, `lambda model: clip_grad_norm_(model.parameters(), 1.0)`
    weights:   "as they are" compares the weights that the two hold, and starts from PyTorch's; None draws random
               ones for both, biases and statistics too, so that none of them hides a mistake; or a map that was
               found before, for random ones: `parity.save_map(result.weights, path)`, or its path
    start:     "compare" fails where fresh models differ: in a constant, a distribution, their mode; "inform" tells it
               in `result.start`. Of makers, `lambda: Net(nnx.Rngs(0))` and PyTorch's class, many draws are compared; of
               models the one that they hold, whose small tensors tell little
    outputs:   targets are random classes for "scores", random numbers for "values"; None goes by the loss
    steps:     training steps, each on a batch of its own
    layers:    each layer on its own, too
    tf32:      let a GPU round float32 products to TF32 on both sides
    memory:    gigabytes that the check may take; None is what is free
    Raises InputError where the two cannot correspond.
    """
    options: dict[str, Any] = dict(device=device, tf32=tf32, policy=policy, tiers=tiers, layers=layers)
    options["memory"] = None if memory is None else memory * 1e9
    Checking(**options, steps=steps)  # raises where an option cannot be, before the work starts
    _check_options(device, outputs, start)
    if isinstance(model, str):
        of_pairs = {"torch_model": torch_model, "inputs": inputs, "variables": variables, "loss": loss}
        of_pairs |= {"scheduler": scheduler, "before_step": before_step, "weights": weights, "outputs": outputs}
        of_pairs["optimizer"] = None if optimizer is PLAIN_SGD else optimizer
        _check_alone(model, of_pairs)
        return _check_name(model, **options, steps=steps)
    if torch_model is None or inputs is None:
        raise InputError("parity.check needs a Flax model, a PyTorch model and inputs, or the name of a case")
    fresh = Fresh(*linen_parts(model, variables), torch_model, Inputs.of(inputs).arrays)
    learning = Learning(loss, optimizer, scheduler, before_step)
    labels = None if outputs is None else outputs == "scores"
    as_they_are = isinstance(weights, str) and weights == "as they are"
    weight_map = None if as_they_are else weights
    theirs = torch_module_of(torch_model)

    def checked(learning: Learning) -> Result:
        with listening("parity.check") as listener:
            listener(type(theirs).__name__, "which tensor is which")
            twin = twin_of_pair(model, theirs, inputs, variables, learning, weight_map, labels, steps, as_they_are)
            heard = options | {"listener": listener}
            result = _check_pair(with_settled_masks(twin), fresh, start == "compare", heard)
        noted = replace(result, notes=(*result.notes, *notes_of(twin, learning)))
        return _under_likeliest(noted, twin.likeliest)

    try:
        return checked(learning)
    except Diverged as error:
        if not learning.plain:
            raise
        return _slower(checked, learning, error)


def _slower(checked: Callable[[Learning], Result], learning: Learning, diverged: Diverged) -> Result:
    """Returns the result of the first smaller rate at which training stays finite, with a note; raises Diverged."""
    note = f"{str(diverged).rpartition('; ')[0]}: all steps were taken anew at a smaller learning rate"
    for optimizer in SLOWER:
        try:
            result = checked(replace(learning, optimizer=optimizer))
            return replace(result, notes=(*result.notes, note))
        except Diverged as error:
            diverged = error
    raise diverged


def _check_pair(twin: Twin, fresh: Fresh, start_fails: bool, options: dict[str, Any]) -> Result:
    """Proves the twin, then compares it as `jax.jit` compiles it and how both models start."""
    try:
        result = replace(check_twin(twin, **options, by_itself=True), weights=twin.leaves)
    except InputError:
        raise
    except Exception as error:
        explain(error, twin)
        raise
    options["listener"](twin.name, "fresh models")
    return _with_start(with_compiled(result, twin, options["device"], options["tf32"]), fresh, twin, start_fails)


def _with_start(result: Result, fresh: Fresh, twin: Twin, fails: bool) -> Result:
    """Returns the result with the start of both; where it only informs, what cannot be drawn is left out."""
    try:
        return with_start(result, fresh.compared(twin), fails)
    except Exception as error:
        if fails:
            raise InputError(f"the start of the two models cannot be compared: {error}") from error
        return result


def _check_alone(name: str, of_pairs: dict[str, Any]) -> None:
    """Raises InputError where a case comes with what only pairs of a user's own have."""
    if more := ", ".join(argument for argument, value in of_pairs.items() if value is not None):
        raise InputError(f"{more} goes with two models of your own; the case {name!r} has its own")


def _check_options(device: str, outputs: str | None, start: str) -> None:
    """Raises InputError where either framework has no such device, or a choice is none."""
    try:
        jax_device(device)
        torch_device(device)
    except InputError as error:
        raise InputError(str(error).replace("--device cpu", "device='cpu'")) from None
    if outputs not in (None, "scores", "values"):
        raise InputError(f"outputs={outputs!r} is neither; 'scores', 'values' or None is right")
    if start not in ("inform", "compare"):
        raise InputError(f"start={start!r} is neither; 'inform' or 'compare' is right")


def _check_name(name: str, **options: Any) -> Result:
    from d2l_jax.catalog import get  # which loads every model of the book
    from parity.proof.cases import check_case

    with listening("parity.check") as listener:
        return check_case(get(name), listener=listener, **options)


def _under_likeliest(result: Result, names: tuple[str, ...]) -> Result:
    """Returns the result; of a failure, with a word that another map may be the right one, where this one is a guess.

    names: of PyTorch's tensors that are guessed
    """
    if result.status != "fail" or not names:
        return result
    note = (
        "no weight map was found under which the two models agree. The likeliest was taken:"
        f" {some(names)} may be exchanged with others of their shape, and the place and the cause are right only if"
        " they are not. result.weights is the map; with other keys, [dataclasses.replace(leaf, key=...), ...], it goes"
        " in as weights="
    )
    blame = result.blame and replace(result.blame, text=f"{result.blame.text} {LIKELIEST}")
    return replace(result, blame=blame, notes=(*result.notes, note))
