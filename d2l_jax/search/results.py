"""What a study has reached, as JSON (book, 19.2)."""

import math
from dataclasses import asdict
from typing import Any

from d2l_jax.search.study import COMPLETED, Study

RESULT = "study.json"


def summary(study: Study, settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of `study.json`: an error that is not finite is null."""
    ended = [trial.ended for trial in study.trials]
    return {
        "settings": settings,
        "incumbent": study.incumbent,
        "incumbent_trial": study.incumbent_trial,
        "incumbent_epoch": incumbent_epoch(study),
        "error": _finite(study.incumbent_error),
        "seconds": round(study.seconds, 3),
        "worker_seconds": round(study.cumulative_runtime[-1], 3) if study.cumulative_runtime else 0.0,
        "best_at_end": best_at_end(study),
        "counts": {how: ended.count(how) for how in sorted(set(ended))},
        "trials": [{**asdict(trial), "errors": list(map(_finite, trial.errors))} for trial in study.trials],
        "curves": {str(number): points for number, points in curves(study).items()},
        "trajectory": [[point.seconds, _finite(point.error)] for point in study.incumbent_trajectory],
    }


def best_at_end(study: Study) -> int | None:
    """Returns the number of the trial whose last error is the least, of those that ran to their end."""
    completed = [trial for trial in study.trials if trial.ended == COMPLETED]
    return min(completed, key=lambda trial: trial.error).number if completed else None


def incumbent_epoch(study: Study) -> int | None:
    """Returns the epoch at which the incumbent had its least error; None while it is run again and has none yet."""
    errors = [] if study.incumbent_trial is None else study.trials[study.incumbent_trial].errors
    finite = [error for error in errors if math.isfinite(error)]
    return errors.index(min(finite)) + 1 if finite else None


def curves(study: Study) -> dict[int, list[list[float]]]:
    """Returns [seconds, error] after each epoch of every trial, of the last time that it was run."""
    points: dict[int, list[list[float]]] = {}
    for event in study.journal.events:
        if "again" in event:
            points[event["trial"]] = []
        elif event.get("error") is not None:
            points.setdefault(event["trial"], []).append([event["at"], event["error"]])
    return points


def _finite(error: float) -> float | None:
    return error if math.isfinite(error) else None
