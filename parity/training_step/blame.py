"""Where two training steps part first, and why."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from parity.arrays.key import Arrays, Key
from parity.blame.diagnosis.cause import Cause, choose, confirmed
from parity.blame.diagnosis.optimizers.trial import listed
from parity.compare.rows import Row
from parity.result import Blame
from parity.training_step.accumulation import gradients, scale
from parity.training_step.averages import of_average, of_statistics
from parity.training_step.judged import Outcome, Steps
from parity.training_step.one_optimizer import of_each_optimizer
from parity.training_step.options import decay_masks, decays, learning_rates, option, rates
from parity.training_step.pair import StepPair
from parity.training_step.replay import Replay
from parity.training_step.within import explain_within, parted_within

NOISE = 1e-11


def blame(pair: StepPair, steps: Steps, rows: dict[str, list[Row]], precision: list[Row]) -> Blame | None:
    """Returns the first step that differs, the first tensor in it, and the cause where one explains it.

    precision: rows of half precisions that differ
    """
    if all(row.passed for tier in rows.values() for row in tier):
        return None
    try:
        return _of_precision(pair, steps, precision[0]) if precision else _first(pair, steps, rows)
    except Exception as error:  # the verdict stands without
        row = next(row for tier in rows.values() for row in tier if not row.passed)
        return Blame("", "training", "", f"{row.key} (its cause was not found: {type(error).__name__}: {error})")


def _first(pair: StepPair, steps: Steps, rows: dict[str, list[Row]]) -> Blame | None:
    for tier in rows:
        mine = [outcome for outcome in steps.outcomes if outcome.tier == tier]
        for outcome in mine:
            wrong = [row.key for row in outcome.rows if not row.passed]
            if wrong:
                return _of_step(pair, outcome, mine, wrong)
    late = next((row for tier in rows.values() for row in tier if not row.passed), None)
    return Blame("", "training", "", f"only after several steps in a row: {late.key}") if late else None


def _of_precision(pair: StepPair, steps: Steps, row: Row) -> Blame:
    """Returns that the steps round to different precisions, and what else differs where that is left out."""
    exact = [outcome for outcome in steps.outcomes if outcome.tier == "float64"]
    text = f"mixed precision: {row.because}"
    for outcome in exact:
        if wrong := [each.key for each in outcome.rows if not each.passed]:
            other = _of_step(pair, outcome, exact, wrong)
            return Blame("", "forward", "mixed-precision", f"{text}; besides, {other.text}")
    rest = "; in float64 both steps agree" if exact else ""
    return Blame("", "forward", "mixed-precision", text + rest)


def _of_step(pair: StepPair, outcome: Outcome, outcomes: Sequence[Outcome], wrong: list[Key]) -> Blame:
    exact = outcome.tier == "float64"
    moved = [key for key in wrong if key.phase in ("update", "optimizer")]
    statistical = _of_statistics(pair, outcome, wrong)
    if moved:
        where = _place(outcome, [key for key in moved if key.phase == "update"] or moved)
        cause = _first_cause(pair, outcome, outcomes) if exact else None
        found = Blame.because(cause, moved[0].tensor, "optimizer", where) if cause else None
        found = found or _of_all(pair, outcome, outcomes, wrong, where)
        return found.with_others([statistical] if statistical and statistical.cause else [])
    if statistical:
        return statistical
    averaged = [key for key in wrong if key.phase == "buffers"]
    if averaged:
        copy = next(copy for copy in pair.copies if copy.name == averaged[0].slot)
        rest = [each for each in outcomes if each.number >= outcome.number]
        cause = of_average(pair, copy, rest, averaged) if exact else None
        return Blame.because(cause, copy.name, "buffers", _place(outcome, averaged))
    found = Blame("", "forward", "", _returned(outcome, wrong[0]))
    return replace(parted_within(found, pair, outcome) if exact else found, cause="returned-loss")


def _of_statistics(pair: StepPair, outcome: Outcome, wrong: list[Key]) -> Blame | None:
    """Returns that running statistics differ, where they do, and why."""
    keys = [key for key in wrong if key.phase == "buffers" and not key.slot]
    causes = (of_statistics(pair, outcome, key) for key in keys if outcome.tier == "float64")
    cause = next(filter(None, causes), None)
    return Blame.because(cause, keys[0].tensor, "buffers", _place(outcome, keys)) if keys else None


def _of_all(pair: StepPair, outcome: Outcome, outcomes: Sequence[Outcome], wrong: list[Key], where: str) -> Blame:
    """Returns what PyTorch's step computes that Flax's does not: the loss, where it is wrong, or what makes the update.

    where: the place in words, where the loss is right
    """
    exact = outcome.tier == "float64"
    others = [each for each in outcomes if each is not outcome]
    cause = explain_within(pair, outcome, others) if exact else None
    if any(key.phase == "forward" for key in wrong):
        found = Blame.because(cause, cause.part if cause else "", "forward", _forward(outcome, wrong))
    else:
        moved = next(key.tensor for key in wrong if key.phase in ("update", "optimizer"))
        found = Blame.because(cause, cause.part if cause and cause.part else moved, "optimizer", where)
    return parted_within(found, pair, outcome) if exact else found


def _place(outcome: Outcome, keys: list[Key]) -> str:
    what = {"update": "the update of", "optimizer": "the optimiser's", "buffers": "the buffer"}[keys[0].phase]
    named = f"the average {keys[0].name}" if keys[0].phase == "buffers" and keys[0].slot else f"{what} {keys[0].name}"
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    tier = "" if outcome.tier == "float64" else f" (in {outcome.tier} alone)"
    return f"step {outcome.number}, {named}{more}{tier}"


def _forward(outcome: Outcome, wrong: list[Key]) -> str:
    key = next(key for key in wrong if key.phase == "forward")
    ours = float(outcome.flax[key])
    theirs = float(outcome.oracle[key])
    near = f" ({abs(ours / theirs - 1):.1e} of it apart)" if theirs and f"{ours:.8g}" == f"{theirs:.8g}" else ""
    both = f"{ours:.8g} in Flax, {theirs:.8g} in PyTorch{near}"
    said = f"step {outcome.number}, {key.tensor}: {both} from equal states and one"
    return f"{said} batch: the model or the loss computes something else"


def _returned(outcome: Outcome, key: Key) -> str:
    ours = float(outcome.flax[key])
    theirs = float(outcome.oracle[key])
    times = f", {ours / theirs:.6g} times that" if theirs else ""
    said = f"step {outcome.number}, {key.tensor}: Flax's step returns {ours:.8g}, PyTorch's {theirs:.8g}{times}"
    return f"{said}; every tensor of the state agrees, so that what is reported differs alone"


def _first_cause(pair: StepPair, first: Outcome, outcomes: Sequence[Outcome]) -> Cause | None:
    """Returns the cause that the first step shows, or a later one."""
    wrong = [(outcome, _moved(outcome)) for outcome in outcomes if outcome.number >= first.number]
    causes = (_of_update(pair, outcome, outcomes, moved) for outcome, moved in wrong if moved)
    return confirmed(causes, strict=True)


def _moved(outcome: Outcome) -> list[Key]:
    return [row.key for row in outcome.rows if not row.passed and row.key.phase in ("update", "optimizer")]


def _of_update(pair: StepPair, outcome: Outcome, outcomes: Sequence[Outcome], wrong: list[Key]) -> Cause | None:
    tensors = {key.tensor for key in wrong}
    for one, of_one, names in of_each_optimizer(pair, outcomes, tensors):
        mine = next(each for each in of_one if (each.number, each.tier) == (outcome.number, outcome.tier))
        if cause := _of_optimizer(one, mine, of_one, [key for key in wrong if not names or key.tensor in names]):
            return replace(cause, text=f"{cause.text} (the optimiser of {listed(names)})") if names else cause
    return None


def _of_optimizer(pair: StepPair, outcome: Outcome, outcomes: Sequence[Outcome], wrong: list[Key]) -> Cause | None:
    replay = Replay(pair, outcome, passes_until(outcomes, outcome.number))
    if cause := _of_count(replay, outcomes) or _not_returned(pair, outcome):
        return cause
    if len(outcome.seen.applied) != 1:
        return None
    others = [each for each in outcomes if each is not outcome]
    noise = NOISE
    trials = chain(rates(replay, others), gradients(replay), learning_rates(replay), decays(replay), scale(replay))
    cause = choose(replay.oracle, replay.flax, trials, noise) or decay_masks(replay)
    right = all(row.passed for row in outcome.rows if row.key.phase == "forward")
    return cause or _frozen(outcome, wrong) or option(replay, by_numbers=right)


def passes_until(outcomes: Sequence[Outcome], number: int) -> list[Arrays]:
    """Returns the gradients of the backward passes since the last update before the step."""
    passes: list[Arrays] = []
    for outcome in outcomes:
        if outcome.number > number:
            break
        passes += outcome.seen.passes
        if outcome.seen.applied and outcome.number < number:
            passes = []
    return passes


def _of_count(replay: Replay, outcomes: Sequence[Outcome]) -> Cause | None:
    """Returns whether one side updates at a step where the other does not."""
    ours = any(replay.outcome.flax[key].any() for key in replay.keys if key.phase == "update")
    theirs = bool(replay.outcome.seen.applied)
    number = replay.outcome.number
    if any(not np.isfinite(replay.outcome.flax[key]).all() for key in replay.keys if key.phase == "update"):
        text = f"Flax's update of step {number} is not finite, PyTorch's {'is' if theirs else 'step leaves it out'}"
        return Cause("not-finite", text, 0.0)
    if not any(each.seen.applied for each in outcomes):  # PyTorch's step moves its parameters itself
        return None
    if ours and not theirs:
        moved = {key.tensor for key in replay.keys if key.phase == "update"}
        if not any(moved & each.keys() for each in replay.outcome.seen.passes):
            text = f"Flax updates at step {number}, where PyTorch's step takes no gradient of these: it waits"
            return Cause("update-count", text, 0.0)
        text = f"Flax updates at step {number}, where PyTorch still accumulates gradients"
        return Cause("gradient-accumulation", text, 0.0)
    if theirs and not ours:
        later = [t.number for t in outcomes if any(k.phase == "update" and t.flax[k].any() for k in t.flax)]
        if later and (cause := _of_rate(replay, outcomes)):
            return cause
        if later:
            text = f"Flax does not update at step {number}, PyTorch does; Flax's first update is at step {later[0]}"
            return Cause("gradient-accumulation", text, 0.0)
        return Cause("update-missing", "Flax's step leaves all parameters as they were", 0.0)
    return None


def _of_rate(replay: Replay, outcomes: Sequence[Outcome]) -> Cause | None:
    """Returns that a schedule starts at 0, a step late: the slots agree, or the next step has the rate of this one."""
    rate = next(iter(replay.outcome.seen.rates), None)
    if rate is None:
        return None
    number = replay.outcome.number
    text = f"Flax's rate of step {number} is 0, PyTorch's {rate:.6g}: its schedule is late, or starts at 0"
    slots = [key for key in replay.keys if key.phase == "optimizer" and replay.outcome.flax[key].any()]
    if slots and all(np.allclose(replay.outcome.flax[key], replay.outcome.oracle[key], rtol=1e-6) for key in slots):
        return Cause("learning-rate-count", text, 0.0)
    following = next((each for each in outcomes if each.number > number and each.seen.applied), None)
    if following is None or len(following.seen.applied) != 1:
        return None
    next_replay = Replay(replay.pair, following, passes_until(outcomes, following.number))
    others = [each for each in outcomes if each is not following]
    cause = choose(next_replay.oracle, next_replay.flax, rates(next_replay, others), NOISE)
    return Cause("learning-rate-count", f"{text}; {cause.text}", 0.0) if cause else None


def _frozen(outcome: Outcome, wrong: list[Key]) -> Cause | None:
    updates = [key for key in wrong if key.phase == "update" and key in outcome.flax]
    for record, text in ((outcome.flax, "Flax's step does not move"), (outcome.oracle, "PyTorch's step does not move")):
        still = [key.tensor for key in updates if not record[key].any()]
        if still and len(still) == len(updates):
            return Cause("not-trained", f"{text} {listed(still)}", 0.0)
    return None


def _not_returned(pair: StepPair, outcome: Outcome) -> Cause | None:
    """Returns that Flax's step leaves its optimiser's state as it was."""
    paths = [path for part in pair.roles.parts for path in outcome.before if part.holds(path)]
    if not paths or not outcome.seen.applied:
        return None
    same = all(np.array_equal(np.asarray(outcome.before[path]), np.asarray(outcome.after[path])) for path in paths)
    text = "Flax's step gives back the optimiser's state that it was given, not the new one"
    return Cause("state-not-returned", text, 0.0) if same else None
