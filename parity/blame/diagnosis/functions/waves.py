"""Tables of waves, as positions and rotations have them: their base, and the order of sines and cosines, altered."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from parity.blame.diagnosis.functions.alternative import Alternative, FunctionCall

CAUSE = "frequencies"
NEAR = 1e-4  # between tables of waves, of which float32 has few digits
BASES = (10.0, 100.0, 1e3, 1e4, 5e4, 1e5, 1.6e5, 5e5, 1e6, 5e6, 1e7)


class Waves(NamedTuple):
    """Rows p = start, start + 1, ... of sin(p f) or cos(p f), of frequencies f = base^(-i / n).

    sines: whether the even columns, and the odd ones, are sines; or the first half, and the second; None: of neither,
           as one complex number has both
    paired: neighbouring columns have the same frequency
    """

    base: float
    columns: int
    n: int
    sines: tuple[bool, bool] | None
    paired: bool
    start: int = 0

    def table(self, rows: int) -> np.ndarray:
        """Returns the numbers of the table."""
        at = np.arange(self.columns)
        which, wave = (at % 2, at // 2) if self.paired else (at // self.n, at % self.n)
        angles = np.arange(self.start, self.start + rows)[:, None] * self.base ** (-wave / self.n)
        if self.sines is None:
            return np.exp(1j * angles)
        return np.where(np.array(self.sines)[which], np.sin(angles), np.cos(angles))


def waves_of(table: torch.Tensor) -> Waves | None:
    """Returns the waves that the table is of, if it is one."""
    if not (table.is_floating_point() or table.is_complex()):
        return None
    columns = table.shape[-1] if table.ndim else 0
    rows = table.detach().cpu().reshape(-1, max(columns, 1)).numpy()
    if table.ndim < 2 or columns < 2 or len(rows) < 3 or not np.isin(rows[0].real.round(6), (0, 1)).all():
        return None
    for paired, n in ((False, columns), (False, columns // 2), (True, columns // 2)):
        second = columns // 2 if n < columns and not paired else 1
        sines = (
            None if table.is_complex() else (bool(rows[0, 0] < 0.5), bool(rows[0, second if n < columns else 0] < 0.5))
        )
        first = rows[1, 2 if paired else 1] if n > 1 else 1.0
        angle = np.angle(first) if sines is None else (np.arcsin if sines[0] else np.arccos)(np.clip(first, -1, 1))
        if not 0 < angle < 1:
            continue
        exact = float(angle) ** -float(n)
        for base in (float(f"{exact:.3g}"), exact):  # the exponents may be those of another n
            waves = Waves(base, columns, n, sines, paired)
            if n * (1 if n == columns else 2) == columns and np.abs(waves.table(len(rows)) - rows).max() < NEAR:
                return waves
    return None


def other_waves(waves: Waves) -> Iterator[tuple[str, str, Waves]]:
    """Yields a table's neighbours, as (cause, line for people, waves)."""
    base, n = waves.base, waves.n
    for other in dict.fromkeys((*BASES, base**2, base**0.5)):
        if abs(other - base) > 1e-3 * base:
            text = f"Flax's waves have the base {other:g}, PyTorch's {base:g} (positions, rotations)"
            yield CAUSE, text, waves._replace(base=other)
    for denominator, what in ((n - 1, f"i / ({n} - 1)"), (n + 1, f"i / ({n} + 1)")):
        if denominator > 0:
            text = f"Flax's frequencies are {base:g} to the power of -{what}, PyTorch's to that of -i / {n}"
            yield CAUSE, text, waves._replace(base=base ** (n / denominator))
    for start in (1, -1):
        yield "offset", f"Flax's waves start at position {start}, PyTorch's at 0", waves._replace(start=start)
    if waves.sines is not None and waves.sines[0] != waves.sines[1]:
        names = ["cosines", "sines"]
        first, second = (names[sine] for sine in waves.sines)
        text = f"Flax has {second} where PyTorch has {first}, and the other way round"
        yield "sine-and-cosine", text, waves._replace(sines=waves.sines[::-1])
    if waves.sines is not None and waves.n < waves.columns:
        ways = ("in two halves", "column by column in turn")
        text = f"Flax has the two kinds of waves {ways[not waves.paired]}, PyTorch {ways[waves.paired]}"
        yield "wave-order", text, waves._replace(paired=not waves.paired)


def geometric(call: FunctionCall) -> Iterator[Alternative]:
    """Yields frequencies base^(-i / n) of another base, or of another n."""
    x = call.result
    if not isinstance(x, torch.Tensor) or not x.is_floating_point() or x.numel() < 3 or x.numel() != max(x.shape):
        return
    logs = x.detach().flatten().double().log()
    if not bool(logs.isfinite().all()) or abs(float(logs[0])) > NEAR or float(logs[1]) == 0:
        return
    n, step = len(logs), float(logs[1])
    if bool(((logs - step * torch.arange(n)).abs() > NEAR).any()):
        return
    base = float(f"{np.exp(abs(step) * n):.3g}")
    for cause, text, waves in other_waves(Waves(base, n, n, None, False)):
        if waves.base != base:
            powers = x ** (float(np.log(waves.base)) / (abs(step) * n))
            yield Alternative(cause, text, lambda powers=powers: powers)
