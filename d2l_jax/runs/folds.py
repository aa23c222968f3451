"""Cross-validation, for data whose test split has no answers: the houses of section 5.7."""

from typing import Any

import numpy as np

from d2l_jax.data import Dataset, fold
from d2l_jax.runs.results import Figures, RunResult, best, described, write_results
from d2l_jax.runs.run import SILENT, Job, Listener, holds_run, refuse_overwriting, train
from d2l_jax.train.devices import leads

FOLDS = 5


def unanswered(data: Dataset) -> bool:
    """Tells whether the test split's targets are unknown."""
    y = data.test[1]
    return not isinstance(y, tuple) and bool(np.issubdtype(y.dtype, np.floating) and np.isnan(y).any())


def cross_validate(job: Job, listener: Listener = SILENT) -> RunResult:
    """Trains a model of its own on each fold, in `fold-0` ... of the job's folder; the records are means.

    A resumed job takes up every fold where it stands. Raises what `train` raises.
    """
    refuse_overwriting(job.out, job.resume)
    results = []
    for i in range(FOLDS):
        out = job.out / f"fold-{i}"
        part = job._replace(data=fold(job.data, FOLDS, i), out=out, resume=job.resume and holds_run(out))
        results.append(train(part, listener))
    whole = RunResult(_joined(job, [result.metrics for result in results]), _samples(results))
    if not leads():
        return whole
    paths = write_results(whole, job.data, job.out)
    final = whole.metrics["final"]
    listener.line(f"mean over {FOLDS} folds: {described(final)}")
    listener.line("written   " + ", ".join(map(str, paths)))
    return whole


def _joined(job: Job, folds: list[dict[str, Any]]) -> dict[str, Any]:
    records = [_mean(list(each)) for each in zip(*(metrics["records"] for metrics in folds))]
    total = round(sum(metrics["seconds"]["total"] for metrics in folds), 3)
    return {
        **folds[0],
        "data": {**folds[0]["data"], "source": f"{job.data.source}, {FOLDS}-fold cross-validation"},
        "best": best(records),
        "final": records[-1],
        "seconds": {"total": total, "folds": [metrics["seconds"]["total"] for metrics in folds]},
        "records": records,
        "folds": [metrics["final"] for metrics in folds],
    }


def _mean(records: list[Figures]) -> Figures:
    means = {name: float(np.mean([record[name] for record in records])) for name in records[0]}
    return {**means, "epoch": records[0]["epoch"]}


def _samples(results: list[RunResult]) -> tuple[np.ndarray, np.ndarray]:
    y, y_hat = zip(*(result.sample for result in results))
    return np.concatenate(y), np.concatenate(y_hat)
