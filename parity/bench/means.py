"""Many ratios in one number: the geometric mean, in which twice as fast and half as fast cancel out."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from parity.bench.result import BenchResult

RATIOS: dict[str, Callable[[BenchResult], float | None]] = {
    "eager": lambda result: result.ratio_eager,
    "compile": lambda result: result.ratio_compile,
    "graphs": lambda result: result.ratio("torch_graphs"),
    "evaluation_eager": lambda result: result.evaluation.ratio("torch_eager"),
    "evaluation_compile": lambda result: result.evaluation.ratio("torch_compile"),
    "compile_time": lambda result: result.compile_time_ratio,
}


def geometric_mean(values: Sequence[float]) -> float:
    """Returns the geometric mean of one positive number at least."""
    return math.exp(sum(map(math.log, values)) / len(values))


def geometric_means(results: Sequence[BenchResult]) -> dict[str, dict[str, Any]]:
    """{ratio: {"mean", "models", "below_1"}}, of the models that have this ratio; none where no model has."""
    means = {}
    for name, ratio in RATIOS.items():
        values = [value for result in results if (value := ratio(result)) is not None]
        if values:
            below = sum(value < 1 for value in values)
            means[name] = {"mean": geometric_mean(values), "models": len(values), "below_1": below}
    return means
