"""Which class wins, where the outputs are scores."""

from collections.abc import Iterable

import numpy as np

from parity.arrays.key import Key, Record
from parity.compare.rows import Row, row
from parity.compare.scale import rms


def compare_classes(oracle: Record, flax: Record, rows: Iterable[Row]) -> list[Row]:
    """Which class wins may differ only where the oracle's margin is below what the scores' own limit allows.

    rows: of the scores; a row is added for each output (batch, ..., classes)
    """
    limits = {scores.key: scores.threshold for scores in rows}
    scores = [key for key in oracle if key.tensor == "output" and oracle[key].ndim > 1 and key in limits]

    def judge(key: Key) -> Row:
        best = np.argmax(oracle[key], -1)
        margin = np.diff(np.sort(oracle[key], -1)[..., -2:], axis=-1)[..., 0]
        flipped = np.argmax(flax[key], -1) != best
        allowed = 2 * limits[key] * max(rms(oracle[key]), 1e-300)
        unexcused = int(np.sum(flipped & (margin > allowed)))
        because = f"{int(flipped.sum())} of {best.size} classes flip; a margin above {allowed:.1e} must not"
        return row(key._replace(tensor="argmax of output"), unexcused, 0.0, because)

    return [judge(key) for key in scores if flax.get(key) is not None and flax[key].shape == oracle[key].shape]
