"""Adam, RMSprop and Adagrad as short formulas, with the conventions that PyTorch has no option for."""

from collections.abc import Mapping
from typing import Any

import numpy as np

Slots = Mapping[str, np.ndarray]
Settings = Mapping[str, Any]


def adam(
    w: np.ndarray,
    g: np.ndarray,
    slots: Slots,
    o: Settings,
    *,
    eps_inside: bool = False,
    eps_uncorrected: bool = False,
    corrected: tuple[bool, bool] = (True, True),
    later: int = 0,
    decoupled: bool | None = None,
    single: bool = False,
    fresh: float = 0.0,
    largest: bool = False,
) -> np.ndarray:
    """The change of `w` (Kingma and Ba 2015).

    eps_inside:      under the root
    eps_uncorrected: added before the correction of the second moment
    corrected:       the moments' bias corrections
    later:           added to the count of steps
    single:          bias corrections in float32
    largest:         of the corrected second moments so far (optax.amsgrad), of the last two where none is kept
    """
    b1, b2 = o["betas"]
    lr = float(o["lr"])
    eps = o["eps"]
    decay = o["weight_decay"]
    decoupled = o.get("decoupled_weight_decay", False) if decoupled is None else decoupled
    g = (-g if o.get("maximize") else g) + (0 if decoupled else decay * w)
    t = float(slots.get("step", 0)) + 1 + later
    m = b1 * slots.get("exp_avg", np.zeros_like(w)) + (1 - b1) * g
    v = b2 * slots.get("exp_avg_sq", np.full_like(w, fresh)) + (1 - b2) * g * g
    c1, c2 = (_correction(b, t, single) if on and t > 0 else 1.0 for b, on in zip((b1, b2), corrected))
    if largest:
        before = slots.get("exp_avg_sq", np.zeros_like(w)) / (1 - b2 ** (t - 1) if t > 1 else 1.0)
        root = np.sqrt(np.maximum(v / c2, slots.get("max_exp_avg_sq", before))) + eps
    elif eps_inside:
        root = np.sqrt(v / c2 + eps)
    elif eps_uncorrected:
        root = (np.sqrt(v) + eps) / np.sqrt(c2)
    else:
        root = np.sqrt(v / c2) + eps
    return -lr * (m / c1 / root) - (lr * decay * w if decoupled else 0)


def _correction(beta: float, t: float, single: bool) -> float:
    return float(np.float32(1) - np.float32(beta) ** np.float32(t)) if single else 1 - beta**t


def rmsprop(
    w: np.ndarray, g: np.ndarray, slots: Slots, o: Settings, *, eps_inside: bool = False, **other: Any
) -> np.ndarray:
    """The change of `w` (book, section 12.8); `alpha` and `eps` may be others than the options say."""
    alpha = other.get("alpha", o["alpha"])
    eps = other.get("eps", o["eps"])
    g = (-g if o.get("maximize") else g) + o["weight_decay"] * w
    v = alpha * slots.get("square_avg", np.full_like(w, other.get("fresh", 0.0))) + (1 - alpha) * g * g
    if o["centered"]:
        mean = alpha * slots.get("grad_avg", np.zeros_like(w)) + (1 - alpha) * g
        spread = v - mean * mean
    else:
        spread = v
    spread = np.maximum(spread, 0)
    scaled = g / (np.sqrt(spread + eps) if eps_inside else np.sqrt(spread) + eps)
    if o["momentum"]:
        scaled = o["momentum"] * slots.get("momentum_buffer", np.zeros_like(w)) + scaled
    return -float(o["lr"]) * scaled


def adagrad(
    w: np.ndarray,
    g: np.ndarray,
    slots: Slots,
    o: Settings,
    *,
    eps_inside: bool = False,
    start: float | None = None,
    eps: float | None = None,
) -> np.ndarray:
    """The change of `w` (book, section 12.7); `start` replaces the accumulator's initial value."""
    g = (-g if o.get("maximize") else g) + o["weight_decay"] * w
    initial = o["initial_accumulator_value"]
    t = float(slots.get("step", 0))
    eps = o["eps"] if eps is None else eps
    total = slots.get("sum", np.full_like(w, initial)) + g * g + (0 if start is None else start - initial)
    lr = float(o["lr"]) / (1 + t * o["lr_decay"])
    return -lr * g / (np.sqrt(total + eps) if eps_inside else np.sqrt(total) + eps)
