"""To which limits gradients were clipped, as they show it themselves."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from parity.blame.diagnosis.optimizers.rate import is_round

EPS = 1e-6  # of torch.nn.utils.clip_grad_norm_


class Limits(NamedTuple):
    """Limits that somebody may have written.

    numbers: to which every number may have been clipped
    norms:   to which all gradients together may have been
    """

    numbers: tuple[float, ...]
    norms: tuple[float, ...]


def shown_limits(gradients: Sequence[np.ndarray], raw: Sequence[np.ndarray]) -> Limits:
    """Returns the limits of gradients that are smaller than they were, `raw`: their largest number, their norm."""
    largest, most = (max((float(np.max(np.abs(x), initial=0.0)) for x in xs), default=0.0) for xs in (gradients, raw))
    norm, whole = (float(np.sqrt(sum(np.sum(np.square(x)) for x in xs))) for xs in (gradients, raw))
    norms = (norm, norm * (1 + EPS / whole)) if whole else ()
    return Limits(_written(largest, most), tuple(limit for each in norms for limit in _written(each, whole)))


def _written(limit: float, before: float) -> tuple[float, ...]:
    return (float(f"{limit:.6g}"),) if 0 < limit < before * (1 - 1e-9) and is_round(limit) else ()
