"""The score for people, and as JSON."""

import json
from collections.abc import Sequence
from typing import Any

from parity.mutants.known import reason_of
from parity.mutants.score import VERDICTS, Outcome, Score


def lines(score: Score) -> list[str]:
    """Returns the survivors with their lines, what no case reaches, what is out of order, and the score."""
    listed = [
        *_part("survived: a hole that wants a case, or equivalent", score, "survived"),
        *_part("equivalent", score, "equivalent"),
        *_part("no case takes this path", score, "not reached"),
        *(f"{case} does not pass unchanged, and was left out: {why}" for case, why in score.unfit.items()),
        *(f"stale entry of parity/mutants/known.py: {x.file} {x.within} {x.code!r} {x.label}" for x in score.stale),
    ]
    counted = ", ".join(f"{score.counts[verdict]} {verdict}" for verdict in VERDICTS if score.counts[verdict])
    return [
        *listed,
        f"{len(score.outcomes)} mutants of {score.places} places, seed {score.seed}: {counted}",
        _sum(score),
    ]


def _part(title: str, score: Score, verdict: str) -> list[str]:
    chosen = [outcome for outcome in score.outcomes if outcome.verdict == verdict]
    return [f"{title} ({len(chosen)})", *(f"  {_survivor(outcome)}" for outcome in chosen)] if chosen else []


def _survivor(outcome: Outcome) -> str:
    reason = reason_of(outcome.mutant)
    return f"{outcome.mutant.text}" + (f"  # {reason}" if reason else "")


def _sum(score: Score) -> str:
    text = f"score {score.share:.3f}: {score.noticed} of the {score.reached} that a case reaches are noticed"
    if score.counts["equivalent"]:
        text += f"; {score.of_different:.3f} without those that are equivalent"
    if score.without_start < score.share:
        text += f"; {score.without_start:.3f} if fresh models were not compared as they are"
    return text


def to_json(score: Score, environment: dict[str, Any]) -> str:
    """Returns the score, and a record for each mutant."""
    document = {
        "environment": environment,
        "seed": score.seed,
        "places": score.places,
        "score": score.share,
        "score_without_equivalent": score.of_different,
        "score_without_start": score.without_start,
        "counts": {verdict: score.counts[verdict] for verdict in VERDICTS},
        "unfit": score.unfit,
        "stale": [vars(entry) for entry in score.stale],
        "mutants": _records(score.outcomes),
    }
    return json.dumps(document, indent=1)


PLACE = ("key", "file", "line", "column", "within", "code", "old")


def _records(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [
        {
            **{name: getattr(outcome.mutant.place, name) for name in PLACE},
            "new": outcome.mutant.new,
            "change": outcome.mutant.label,
            "reason": reason_of(outcome.mutant),
            **{name: getattr(outcome, name) for name in ("verdict", "case", "phase", "detail", "seconds", "cases")},
        }
        for outcome in outcomes
    ]
