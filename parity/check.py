"""The proof: a twin is run on both sides in float64, then in float32, and every tensor is compared."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from d2l_jax.case import Case
from parity.compare import Policy, Row, compare_precision, compare_semantics, noise_of
from parity.environment import jax_device, pinned_precision, torch_device
from parity.run_flax import run_flax
from parity.run_torch import run_torch
from parity.twin import Twin, check_structure, twin_of

PROBES = 4
KEPT = (1, 5)


@dataclass(frozen=True)
class Result:
    """What the check of one case found. `rows` are by tier: "float64" (semantics), "float32" (precision)."""

    name: str
    section: str
    params: int
    rows: dict[str, list[Row]] = field(default_factory=dict)
    error: str = ""

    @property
    def status(self) -> str:
        compared = [row for rows in self.rows.values() for row in rows]
        if self.error or not compared:
            return "error"
        return "pass" if all(row.passed for row in compared) else "fail"

    def worst(self, tier: str) -> Row | None:
        """The row that is closest to its threshold, or furthest beyond."""
        return max(self.rows.get(tier, []), key=lambda row: row.gap / max(row.threshold, 1e-300), default=None)


def check_case(case: Case, *, device: str = "cpu", full: bool = False, policy: Policy = Policy()) -> Result:
    """Checks one case of the catalogue; `full`: with the book's sizes and a batch of 3."""
    twin = twin_of(case, full=full)
    return check_twin(twin, section=case.section, device=device, policy=policy, probes=1 if full else PROBES)


def check_twin(
    twin: Twin, *, section: str = "", device: str = "cpu", policy: Policy = Policy(), probes: int = PROBES
) -> Result:
    """Both tiers of one twin. Raises InputError where the two models cannot correspond."""
    check_structure(twin)
    jax_side, torch_side = jax_device(device), torch_device(device)
    with pinned_precision():
        oracle = run_torch(twin, "float64", torch_side, KEPT)
        disturbed = [run_torch(twin, "float64", torch_side, KEPT, _one_ulp(seed)) for seed in range(probes)]
        noise, terms = noise_of(oracle, disturbed), twin.longest_sum
        rows = {
            "float64": compare_semantics(oracle, run_flax(twin, "float64", jax_side, KEPT), noise, terms, policy),
            "float32": compare_precision(
                oracle,
                run_torch(twin, "float32", torch_side, KEPT),
                run_flax(twin, "float32", jax_side, KEPT),
                noise,
                terms,
                policy=policy,
            ),
        }
    params = sum(parameter.numel() for parameter in twin.torch.parameters())
    return Result(twin.name, section, params, rows)


def _one_ulp(seed: int) -> Any:
    """Moves every number of an array to one of its two neighbours at random."""
    random = np.random.default_rng(seed)

    def disturb(array: np.ndarray) -> np.ndarray:
        return np.nextafter(array, np.where(random.random(array.shape) < 0.5, -np.inf, np.inf))

    return disturb
