"""From failing rows to the first guilty place, and to its cause."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain

import torch

from d2l_jax.runs.settings import name_of
from d2l_jax.turns import Observed, Supervised
from parity.arrays.key import Key, Record
from parity.blame.apart import Sight, parted
from parity.blame.behind import body_behind, by_what_comes
from parity.blame.body import (
    Watched,
    explain_body,
    explain_constant,
    explain_exchange,
    explain_moved,
    explain_number,
    explain_other,
)
from parity.blame.diagnosis import Cause, explain_tensor
from parity.blame.diagnosis.altered import ALTERATIONS
from parity.blame.diagnosis.altered.others import DROPOUTS
from parity.blame.diagnosis.places import VAGUE
from parity.blame.ends_before import without_shorter
from parity.blame.ends_behind import without_longer
from parity.blame.gradients import explain_gradients
from parity.blame.layer import blame_layers, right_modules
from parity.blame.lone_dropout import drawn_alone
from parity.blame.loss import is_loss_other_backward, of_loss
from parity.blame.norm_place import explain_norm_place
from parity.blame.optimizer import of_later_step, of_optimizer
from parity.blame.other_bounds import without_blocks_around
from parity.blame.other_form import explain_buckets, turned_mask
from parity.blame.tied import explain_ties
from parity.blame.trained import explain_trained, is_of, trained_alone, trained_though_frozen
from parity.blame.two_biases import of_two_biases
from parity.blame.wiring import explain_wiring
from parity.compare.rows import Row
from parity.layers.isolated import Isolated, Unfit
from parity.layers.received import first_other, gap_of
from parity.result import BODY, Blame
from parity.twin.twin import State, Twin


def blame(
    twin: Twin,
    rows: Sequence[Row],
    layers: Mapping[bool, Isolated],
    oracle: Record,
    flax: Record,
    states: Sequence[State],
) -> Blame | None:
    """Returns what is wrong first: a layer on its own, the body between the layers, the loss, the optimiser.

    Where it is a layer, the others that are wrong by themselves are told too; and tensors that one side alone trains.

    rows:   all of the float64 tier
    layers: by mode (training or not), what isolation found, the modules around layers included
    """
    wrong = {row.key for row in rows if not row.passed}
    apart = *trained_alone(oracle, flax), trained_though_frozen(twin.torch.model, wrong)
    names = set(chain(*apart))
    if not names:
        return _of_what_is_trained(twin, wrong, layers, oracle, flax, states)
    alone = Blame.because(explain_trained(*apart), "", "backward", BODY)
    # What all steps in a row become follows from what is trained.
    rest = {key for key in wrong if not is_of(key, names) and key.phase not in ("after", "free run")}
    for isolated in layers.values():
        isolated.rows = [row for row in isolated.rows if not is_of(row.key, names)]
    found = _of_what_is_trained(twin, rest, layers, oracle, flax, states) if rest else None
    return found.with_others([alone]) if found else alone


def _of_what_is_trained(
    twin: Twin,
    wrong: set[Key],
    layers: Mapping[bool, Isolated],
    oracle: Record,
    flax: Record,
    states: Sequence[State],
) -> Blame | None:
    """Blames the first that is wrong of what both sides have as parameters, or as buffers."""
    if untied := explain_ties(twin):
        return Blame.because(untied, "", "backward", BODY)
    guilty = without_longer(list(blame_layers(twin, layers, states[0])), twin, layers[True], states[0])
    guilty = without_shorter(guilty, twin, layers[True], oracle)
    if guilty := without_blocks_around(guilty, twin, layers[True], oracle):
        return _with_others(guilty, twin, layers[True], states[0], oracle, flax, wrong)
    wrong_loss = _is_loss_wrong(wrong)
    for key in _of_first_step(wrong):
        if wrong_loss and (key.phase == "gradients" or key.is_made_of_outputs):
            break  # the loss is wrong, the model is right
        if key.is_made_of_outputs:
            return Blame.because(
                _of_tensor(twin, oracle, flax, key), "evaluation", key.phase, f"what is measured: {key}"
            )
        train = key.phase != "evaluation"
        if key.is_output:
            return _of_body(twin, states[0], layers[train], key, oracle, flax, train)
        stopped = explain_gradients(twin, states[0], oracle, flax) if key.phase == "gradients" else None
        cause = stopped or _of_tensor(twin, oracle, flax, key)
        if key.phase == "gradients" and is_loss_other_backward(twin, states[0], oracle):
            return Blame.because(cause, "loss", "loss", "the loss, as large as PyTorch's, but not its gradient")
        place = _called(twin, key) or f"{BODY}, between its layers"
        return Blame.because(cause, cause.part if cause else "", key.phase, f"{place}: {key}")
    if wrong_loss or any(key.step == 1 and key.phase == "gradients" for key in wrong):
        found = Blame.because(of_loss(twin, states[0], oracle, flax), "loss", "loss", "the loss")
        return _with_line_of_loss(found, twin, states[0], flax) if wrong_loss else found
    beside = sorted((key for key in wrong if key.step == 1 and key.phase == "forward" and not key.layer), key=str)
    if beside:
        place = f"{_called(twin, beside[0]) or 'the objective'}: {beside[0]}"
        return Blame.because(_of_tensor(twin, oracle, flax, beside[0]), "", "forward", place)
    optimised = of_two_biases(twin, wrong) or of_optimizer(twin, wrong, oracle, flax, states)
    told = optimised and optimised.cause not in ("", "not-finite")
    return optimised if told else of_later_step(wrong) or optimised


def _is_loss_wrong(wrong: set[Key]) -> bool:
    return any(key.step == 1 and key.phase == "forward" and key.tensor == "loss" for key in wrong)


def _loss_beside(twin: Twin, state: State, oracle: Record, flax: Record, wrong: set[Key]) -> Blame | None:
    """A loss that is wrong beside a layer; one of outputs that are wrong, or of a layer's own tensors, follows."""
    of_outputs = all(isinstance(turn.objective, Supervised) for turn in twin.flax.turns)
    outputs = [key for key in wrong if key.step == 1 and key.phase == "forward" and key.is_output]
    if outputs or not of_outputs or not _is_loss_wrong(wrong):
        return None
    found = Blame.because(of_loss(twin, state, oracle, flax), "loss", "loss", "the loss")
    return _with_line_of_loss(found, twin, state, flax)


def _with_line_of_loss(found: Blame, twin: Twin, state: State, flax: Record) -> Blame:
    loss = flax[Key(1, "forward", "loss", twin.torch.turns[-1].name)]
    return parted(found, twin, state, True, Sight({"loss": loss}, output="loss"))


def _with_others(
    guilty: list[Blame], twin: Twin, isolated: Isolated, state: State, oracle: Record, flax: Record, wrong: set[Key]
) -> Blame:
    """Returns the first of the guilty layers, and what else is wrong by itself: others, the body, the loss."""
    behind = body_behind(twin, isolated, state, [blame.layer for blame in guilty])
    guilty = [by_what_comes(guilty[0], twin, isolated, state), *guilty[1:]]
    beside = _loss_beside(twin, state, oracle, flax, wrong)
    if all(each.direction == "buffers" for each in guilty):  # behind which outputs are right
        guilty = [*_beside_buffers(twin, isolated, state, oracle, flax, wrong), *guilty]
    return guilty[0].with_others([*guilty[1:], *filter(None, (behind, beside))])


def _beside_buffers(
    twin: Twin, isolated: Isolated, state: State, oracle: Record, flax: Record, wrong: set[Key]
) -> list[Blame]:
    """Blames the body, or a gradient that it stops, where layers are right in training but for their buffers."""
    for key in _of_first_step(wrong):
        if key.phase == "forward" and not key.is_made_of_outputs:
            return [_of_body(twin, state, isolated, key, oracle, flax, True)]
        if key.phase == "gradients" and not _is_loss_wrong(wrong):
            cause = explain_gradients(twin, state, oracle, flax) or _of_tensor(twin, oracle, flax, key)
            return [Blame.because(cause, cause.part if cause else "", key.phase, f"{BODY}, between its layers: {key}")]
    return []


def _called(twin: Twin, key: Key) -> str:
    """The function that computed a tensor which is no output, by name; "" where that is a model's body."""
    functions = [twin.flax.observe] if key.phase == "evaluation" else [turn.objective for turn in twin.flax.turns]
    layered = key.phase != "forward" and any(twin.torch.model.children())
    if layered or any(isinstance(each, Supervised | Observed) for each in functions):
        return ""
    return f"the function {' or '.join(dict.fromkeys(map(name_of, functions)))}"


def _of_shape(unfit: Unfit, direction: str) -> Blame:
    """The alteration by which PyTorch's layer gives results of Flax's shape: a hint only."""
    label, call, why, results = unfit
    for alteration in ALTERATIONS:
        for cause, text, altered in alteration(call.module):
            with suppress(RuntimeError, ValueError, TypeError, IndexError), torch.no_grad():
                output = altered.double().eval()(*call.args, **call.kwargs)
                if isinstance(output, torch.Tensor) and sorted(output.shape) == sorted(results[0]):
                    return Blame.because(Cause(cause, f"{why}; perhaps {text}", math.nan), call.name, direction, label)
    return Blame(call.name, direction, "", f"{label}: {why}")


def _of_body(
    twin: Twin, state: State, isolated: Isolated, key: Key, oracle: Record, flax: Record, train: bool
) -> Blame:
    """The body before the first layer that is given something else, or behind all of them."""
    if twin.lone and not train:
        return Blame.because(drawn_alone(twin.lone), "", key.phase, f"{BODY}, in evaluation")
    received = first_other(isolated.received, gap_of(oracle[key], flax[key]))
    watched = Watched(oracle[key], flax[key], key.tensor)
    place = f"{BODY}, between its layers: {key}"
    if received:
        place = f"{BODY}, before {received.label}"
        if given := turned_mask(received) or explain_buckets(twin.torch.model, received):
            return Blame.because(given, received.name, key.phase, place)
        if moved := explain_moved(twin, state, train, watched, isolated.received):
            return Blame.because(moved, "", key.phase, place)
        watched = Watched(received.torch, received.flax, received=received)
    right = right_modules(isolated)
    cause = explain_body(twin, state, train, watched, right) or explain_constant(twin, state, train, watched)
    if cause is None and isolated.unfit:
        return _of_shape(isolated.unfit[0], key.phase)
    cause = (
        cause
        or explain_norm_place(isolated)
        or explain_wiring(isolated)
        or explain_exchange(twin, state, train, watched, right)
        or _by_numbers(twin, state, train, watched, right)
    )
    found = Blame.because(cause, cause.part if cause else "", key.phase, place)
    sight = Sight({key.tensor: flax[key]}, output=key.tensor)
    if received:
        call = received.name, received.number
        sight = Sight({"given": received.flax}, call, received.place, turned=received.turned)
    return parted(found, twin, state, train, sight)


def _by_numbers(twin: Twin, state: State, train: bool, watched: Watched, right: Sequence[str]) -> Cause | None:
    """What the numbers tell; where that is vague, another number or tensor of PyTorch's with which it is computed."""
    told = explain_tensor(watched.oracle, watched.flax, drops=_drops(twin))
    if told and told.name not in VAGUE:
        return told
    return explain_number(twin, state, train, watched, right) or explain_other(twin, state, train, watched) or told


def _drops(twin: Twin) -> bool:
    """Tells whether PyTorch's model drops anything out, by a layer or otherwise at random."""
    return bool(twin.torch_numbers(twin.batches[0])) or any(isinstance(x, DROPOUTS) for x in twin.torch.model.modules())


def _of_first_step(wrong: set[Key]) -> Iterator[Key]:
    """Yields what is wrong in the first step, outputs first, then in the order in which training meets it."""
    first = sorted((key for key in wrong if key.step == 1 and not key.layer), key=str)
    for phase in ("forward", "evaluation"):
        yield from (key for key in first if key.phase == phase and key.is_output)
    for phase in ("gradients", "buffers", "evaluation"):
        yield from (key for key in first if key.phase == phase)


def _of_tensor(twin: Twin, oracle: Record, flax: Record, key: Key) -> Cause | None:
    both = key in oracle and key in flax
    return explain_tensor(oracle[key], flax[key], drops=_drops(twin)) if both else None
