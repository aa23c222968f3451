"""Is it the port that is wrong, or the program that XLA has made of it?

The check's programs have this library's compiler options. A user's pair is run once more as `jax.jit` compiles it by
itself, its outputs alone: gradients would take a third of a check's time more. Where float32 alone is wrong, or
gradients alone without a cause, both are computed once more operation by operation, which no compiler makes wrong.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import jax

from parity.arrays.key import Key, Record
from parity.compare.rows import Row, row
from parity.compare.scale import relative_gap
from parity.environment import jax_device, torch_device
from parity.result import Blame, Result
from parity.sides.otherwise import OtherwiseRun
from parity.sides.torch import TorchRun
from parity.twin.twin import Twin

TIER = "float32"
ROOM = 16.0  # of the limit that the same tensor has in the check: other roundings, not other numbers
SHARE = 0.25  # of a gap that may be left operation by operation where the compiler is to have made it
PHASES = ("evaluation", "forward", "gradients")


def with_compiled(
    result: Result, twin: Twin, device: str = "cpu", tf32: bool = False, by_itself: bool = True
) -> Result:
    """Returns the result with the rows of `jax.jit` by itself, and the compiler blamed where it alone is wrong.

    by_itself: compares the outputs as `jax.jit` compiles them, too
    """
    same_mathematics = all(r.passed for r in result.rows.get("float64", []))
    tier = TIER if same_mathematics else "float64"
    rows = [r for r in result.rows.get(tier, []) if r.key.step == 1 and not r.key.layer]
    limits = {r.key: r for r in rows if r.key.phase in PHASES and not r.key.is_made_of_outputs}
    unexplained = result.blame is not None and not result.blame.cause
    if not limits or not same_mathematics and not (unexplained and _are_gradients_alone(limits.values())):
        return result
    try:
        return _judged(result, limits, twin, tier, device, tf32, by_itself)
    except Exception as error:  # a verdict that stands is no worse for it
        why = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        return replace(result, skipped=result.skipped | {"the outputs as jax.jit compiles them": why})


def _are_gradients_alone(rows: Iterable[Row]) -> bool:
    """Tells whether outputs are right whose gradients are not, as no port's mathematics but a stopped gradient is."""
    return {r.key.phase for r in rows if not r.passed} == {"gradients"}


def _judged(
    result: Result, limits: dict[Key, Row], twin: Twin, tier: str, device: str, tf32: bool, by_itself: bool
) -> Result:
    oracle = TorchRun(twin, "float64", torch_device(device)).taken(1, twin.start)
    run = OtherwiseRun(twin, tier, jax_device(device), tf32)
    wrong = [r for r in limits.values() if not r.passed]
    if wrong:
        return _blamed(result, wrong, oracle, run, "with this library's compiler options")
    if not by_itself:
        return result
    rows = list(_rows(limits, oracle, run.evaluation_by(jax.jit, twin.start)))
    result = replace(result, rows=result.rows | {TIER: [*result.rows[TIER], *rows]})
    bad = [r for r in rows if not r.passed]
    return _blamed(result, bad, oracle, run, "as `jax.jit` compiles it") if bad else result


def _rows(limits: dict[Key, Row], oracle: Record, record: Record) -> Iterator[Row]:
    for key, checked in limits.items():
        if key.phase == "evaluation" and key in oracle and key in record and checked.threshold:
            yield row(
                _of_compiled(key),
                relative_gap(oracle[key], record[key]),
                ROOM * checked.threshold,
                f"jax.jit by itself: {ROOM:.0f} x the limit of the check's own program",
            )


def _of_compiled(key: Key) -> Key:
    """Returns the key of the same tensor in the program of `jax.jit`."""
    return key._replace(phase="compiled", tensor=f"{key.phase}/{key.tensor}")


def _blamed(result: Result, wrong: list[Row], oracle: Record, run: OtherwiseRun, how: str) -> Result:
    """Returns the result; it blames the compiler if every wrong tensor is right, and far nearer, without it."""
    with jax.disable_jit():
        eager = run.evaluation_by(_as_it_stands, run.twin.start) | run.first_step_by(_as_it_stands, run.twin.start)
    by_name = {name: key for key in eager for name in (str(key), str(_of_compiled(key)))}
    gaps = []
    for each in wrong:
        key = by_name.get(str(each.key))
        if key is None or key not in oracle:
            return result
        limit = each.threshold or ROOM * 2.0**-24
        gaps.append((relative_gap(oracle[key], eager[key]), min(ROOM * limit, SHARE * each.gap)))
    if any(gap > limit for gap, limit in gaps):
        return result
    worst = max(wrong, key=lambda each: each.gap)
    text = (
        f"the compiler, not the port: XLA's program, {how}, gives {worst.key.tensor} with a gap of"
        f" {worst.gap:.1e}, the same operations one by one {max(gap for gap, _ in gaps):.1e}"
    )
    return replace(result, blame=Blame("", "forward", "compiler", text))


def _as_it_stands(function: Any) -> Any:
    return function
