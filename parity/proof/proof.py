"""The proof: a twin is run on both sides in float64, then in float32, and every tensor is compared."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from parity.blame.diagnosis.precision import formats_of
from parity.blame.digits import with_digits
from parity.blame.held_formats import held_formats
from parity.blame.lone_dropout import blame_lone, lone_rows
from parity.blame.place import blame
from parity.blame.precision import blame_precision
from parity.blame.repeated_keys import blame_repeated, repeated_rows
from parity.blame.shared_masks import blame_shared, shared_rows
from parity.blame.ties import blame_ties
from parity.blame.weights import blame_weights
from parity.compare.probes import most_probes
from parity.compare.rows import Row, passed
from parity.compare.weights import compare_weights
from parity.environment import pinned
from parity.layers.boundaries import without_other_bounds
from parity.layers.isolate import isolate
from parity.layers.isolated import Isolated
from parity.layers.low_precision import by_itself, low_rows, told_by_layers
from parity.layers.padding import masked_outside
from parity.proof.at_zero import at_zero, notes_at_zero
from parity.proof.beyond_bounds import PHASE, beyond_bounds
from parity.proof.checking import Checking
from parity.proof.constant_inputs import constant_inputs, of_one_number
from parity.proof.free_run import free_run
from parity.proof.judging import bias_corrections
from parity.proof.memory import check_twin_fits
from parity.proof.notes import layers_with_tensors, notes_of
from parity.proof.padding_rows import padding_notes
from parity.proof.steps import Kept, RowsByTier, Sides, first_step, modeless, single_steps
from parity.report.repro import evidence_of
from parity.result import Blame, Distance, Result
from parity.sides.quick import quickly
from parity.twin.twin import State, Twin


def check_twin(twin: Twin, **options: Any) -> Result:
    """Runs both sides in float64, to see whether they agree, and in each lower precision, to see how well.

    Every step starts from the state in which PyTorch has been; then all are taken in a row, and each layer on its own.

    options: of `Checking`

    Raises InputError where the check would take more memory than is free.
    """
    checking = Checking(**options)
    with pinned(tf32=checking.tf32):
        check_twin_fits(twin, checking)
        sides = Sides.of(twin, checking)
        kept = Kept()
        rows, states = single_steps(twin, checking, sides, kept)
        if not twin.as_they_are and "float64" in sides.flax and twin.turns:
            checking.listener(twin.name, "numbers that are exactly 0")
            rows["float64"] += at_zero(twin, sides, rows["float64"], kept.cut)
        idle, unbound = _beyond(twin, checking, sides, rows, kept)
        more, trajectory = _in_a_row(twin, checking, sides, most_probes(rows))
        rows = {tier: [*rows[tier], *more.get(tier, [])] for tier in rows}
        with formats_of(sides.torch_device):
            alone, around, guilty = _layers(twin, checking, sides, rows, states, kept)
            guilty = _as_they_are(twin, sides, rows) or guilty
            for tier in rows:
                if guilty is None and not passed(rows[tier]) and sides.torch_device == "cpu":
                    guilty = _diagnosed(blame_precision, twin, tier, rows[tier])
            guilty = _diagnosed(with_digits, guilty, twin, rows) if sides.torch_device == "cpu" else guilty
        holding = layers_with_tensors(twin) if checking.layers and "float64" in rows else ()
        guilty = _constant(twin, checking, sides, rows, kept) or _dropout(twin, rows, guilty or unbound)
        notes = list(notes_of(sides.flax.values(), alone, holding, kept, () if guilty else idle))
        if twin.turns and not guilty and "float64" in rows:
            notes += [*padding_notes(twin, sides), *notes_at_zero(rows["float64"])]
        evidence = evidence_of(rows, kept.records, around.layers, guilty)
    return Result(
        twin.name,
        "",
        sum(parameter.numel() for parameter in twin.torch.model.parameters()),
        rows,
        blame=guilty,
        trajectory=trajectory,
        settings={"probes": checking.probes, "weights": "as they are" if twin.as_they_are else "random"},
        skipped=alone.skipped,
        holding=holding,
        notes=tuple(notes),
        evidence=evidence,
    )


def _beyond(
    twin: Twin, checking: Checking, sides: Sides, rows: RowsByTier, kept: Kept
) -> tuple[list[str], Blame | None]:
    """Adds rows of numbers beyond bounds that bind nothing, where all is right without; returns those that are left."""
    idle = kept.bounds.lines(reached=False)
    exact = rows.get("float64", [])
    if not idle or twin.as_they_are or not exact or not passed(exact):
        return idle, None
    checking.listener(twin.name, "numbers beyond bounds")
    more, idle, unbound = beyond_bounds(twin, sides, kept.bounds)
    rows["float64"] += more
    return idle, unbound


def _constant(twin: Twin, checking: Checking, sides: Sides, rows: RowsByTier, kept: Kept) -> Blame | None:
    """Adds a row for each input of one number alone that one side does not look at, where all is right without."""
    exact = rows.get("float64", [])
    constant = of_one_number(twin.batches[0])
    if not exact or not passed(exact) or not twin.turns or not constant:
        return None
    checking.listener(twin.name, "inputs of one number alone")
    more, blames = constant_inputs(twin, sides, constant, kept.marks)
    rows["float64"] += more
    return blames[0].with_others(blames[1:]) if blames else None


def _in_a_row(twin: Twin, checking: Checking, sides: "Sides", most: int) -> tuple[RowsByTier, list[Distance]]:
    """Takes all steps in a row, where there are several; see `free_run`."""
    if len(twin.batches) < 2 or not twin.turns:
        return {}, []
    checking.listener(twin.name, "all steps in a row")
    corrected = min(bias_corrections(sides.exact, 1).values(), default=math.inf)
    return free_run(twin, sides.flax, sides.torch_device, checking.policy, most, corrected)


def _as_they_are(twin: Twin, sides: "Sides", rows: RowsByTier) -> Blame | None:
    """Adds a row for each of the weights that the models hold, where these are compared; blames those that differ."""
    if not twin.as_they_are:
        return None
    theirs = sides.exact.compared(twin.start.tensors)
    compared = compare_weights(theirs, twin.held)
    first = next(iter(rows))
    rows[first] = [*compared, *rows[first]]
    return blame_weights(compared, theirs, twin.held)


def _dropout(twin: Twin, rows: RowsByTier, guilty: Blame | None) -> Blame | None:
    """Adds a row for each mask of dropout that Flax draws once for many, again, or not at all, and blames these."""
    first = next(iter(rows))
    lone = twin.dropping, twin.awake, twin.extra
    more = *shared_rows(twin.shared), *lone_rows(*lone), *repeated_rows(twin.repeated)
    rows[first] = [*rows[first], *more]
    alone = blame_lone(*lone)
    if guilty and alone:
        return guilty.with_others([alone])
    return guilty or alone or blame_shared(twin.shared) or blame_repeated(twin.repeated)


def _layers(
    twin: Twin, checking: Checking, sides: Sides, rows: RowsByTier, states: list[State], kept: Kept
) -> tuple[Isolated, Isolated, Blame | None]:
    """Adds the rows of each layer on its own, and blames the first guilty one.

    Returns what isolation found of layers, of the modules around them where something is wrong, and the blame.
    """
    if "float64" not in rows:
        return Isolated(), Isolated(), None
    masked = masked_outside(twin, *kept.records.get("float64", ({}, {})))
    inside = partial(isolate, twin, sides.torch_device, sides.jax_device, checking.policy, masked=masked)
    if checking.layers:
        checking.listener(twin.name, "layers on their own")
    alone = inside(containers=False) if checking.layers else Isolated()
    if passed(_as_drawn(rows)):
        alone = without_other_bounds(alone)
    rows["float64"] += alone.rows
    if passed(rows["float64"]):
        if "float32" in rows and alone.layers:
            runs = sides.torch["float32"], sides.flax["float32"]
            low = low_rows(twin, alone, *runs, checking.policy, by_itself if checking.by_itself else quickly)
            rows["float32"] = told_by_layers([*rows["float32"], *low])
        return alone, Isolated(), None
    if passed(_as_drawn(rows)):
        return alone, Isolated(), _diagnosed(blame_ties, twin, rows["float64"])
    checking.listener(twin.name, "the first guilty place")
    first = first_step(twin, sides, states)
    modes = {True: inside(containers=True, known=alone.layers)}
    modes[False] = Isolated() if modeless(*first) else inside(containers=True, train=False)
    records = [one | failing for one, failing in zip(first, kept.records["float64"])]
    with formats_of(sides.torch_device, partial(held_formats, twin, states[0])):
        return alone, modes[True], _diagnosed(blame, twin, rows["float64"], modes, *records, states)


def _as_drawn(rows: RowsByTier) -> list[Row]:
    """Returns the rows of float64 in which weights and inputs are those that were drawn."""
    return [row for row in rows["float64"] if row.key.phase not in ("at zero", PHASE)]


def _diagnosed(diagnose: Callable[..., Blame | None], *args: Any) -> Blame | None:
    """Returns the blame; the verdict stands where its diagnosis breaks, which is then said in its place."""
    try:
        return diagnose(*args)
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        return Blame("", "", "", f"the place could not be found: {type(error).__name__}: {first}")
