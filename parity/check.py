"""The proof: a twin is run on both sides in float64, then in float32, and every tensor is compared."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from typing import Any, Literal

import numpy as np
import torch
from flax import nnx

from d2l_jax import losses, optim
from d2l_jax.case import Case
from d2l_jax.catalog import get
from d2l_jax.errors import InputError
from parity.compare import POLICY, Policy, Record, Row, compare_precision, compare_semantics, errors_of, noise_of
from parity.environment import jax_device, pinned, torch_device
from parity.run_flax import run_flax
from parity.run_torch import run_torch
from parity.twin import STEPS, Twin, pair, twin_of

PROBES, MOST_PROBES = 4, 20
KEPT = (1, 5)
PLAIN_SGD = partial(optim.SGD, lr=0.1)


@dataclass(frozen=True)
class Result:
    """What the check of one case found; "error" where nothing could be compared.

    rows: by tier, "float64" (semantics) and "float32" (precision)
    """

    name: str
    section: str
    params: int
    rows: dict[str, list[Row]] = field(default_factory=dict)
    error: str = ""
    seconds: float = 0.0

    @property
    def status(self) -> str:
        compared = [row for rows in self.rows.values() for row in rows]
        if self.error or not compared:
            return "error"
        return "pass" if all(row.passed for row in compared) else "fail"

    def worst(self, tier: str) -> Row | None:
        """The row that is closest to its threshold, or furthest beyond."""
        return max(self.rows.get(tier, []), key=lambda row: row.gap / max(row.threshold, 1e-300), default=None)


def check(
    model: nnx.Module | str,
    torch_model: torch.nn.Module | None = None,
    inputs: np.ndarray | None = None,
    *,
    loss: Callable = losses.mse,
    optimizer: Callable = PLAIN_SGD,
    outputs: Literal["scores", "values", "images"] = "values",
    device: str = "cpu",
    tf32: bool = False,
    policy: Policy = POLICY,
    tiers: tuple[str, ...] = ("float64", "float32"),
) -> Result:
    """Are an NNX module and a PyTorch module the same? Or, with a name alone, a case of the catalogue.

    model, torch_model: tensors of the same names and shapes; neither is changed
    inputs:    one batch, images as (batch, height, width, channels)
    loss:      a function of `d2l_jax.losses`; the targets are random
    optimizer: a `partial` of a factory of `d2l_jax.optim`
    outputs:   what the models return: class "scores", "values", or "images" (channels last)
    tf32:      let a GPU round float32 products to TF32 on both sides

    Raises InputError where the two cannot correspond.
    """
    if isinstance(model, str):
        return check_case(get(model), device=device, tf32=tf32, policy=policy)
    if torch_model is None or inputs is None:
        raise InputError("parity.check needs a Flax model, a PyTorch model and inputs, or the name of a case")
    name = type(model).__name__
    case = Case(name, "", name, type(model), inputs.shape, outputs=outputs, loss=loss, optimizer=optimizer)
    twin = pair(case, nnx.clone(model), torch_model, [np.asarray(inputs)] * STEPS, np.random.default_rng(0))
    return check_twin(twin, device=device, tf32=tf32, policy=policy, tiers=tiers)


def check_cases(
    cases: Sequence[Case], *, device: str = "cpu", tf32: bool = False, full: bool = False, jobs: int = 1
) -> Iterator[Result]:
    """The results in the order of `cases`, each as soon as it is there; `jobs` processes work side by side.

    Compiling takes most of the time and keeps one core busy, so that two processes on two cores halve it.
    """
    if jobs < 1:
        raise InputError(f"--jobs {jobs} is too few; 1 or more is right")
    run = partial(check_case, device=device, tf32=tf32, full=full)
    if jobs == 1 or len(cases) == 1:
        yield from map(run, cases)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run, cases)


def check_case(
    case: Case, *, device: str = "cpu", tf32: bool = False, full: bool = False, policy: Policy = POLICY
) -> Result:
    """Checks one case of the catalogue; `full`: with the book's sizes and a batch of 3.

    Models that cannot correspond or cannot run are the result's `error`, not an exception.
    """
    start = time.perf_counter()
    try:
        twin = twin_of(case, full=full)
        probes = 1 if full else PROBES
        found = check_twin(twin, section=case.section, device=device, tf32=tf32, policy=policy, probes=probes)
    except InputError as error:
        found = Result(case.name, case.section, 0, error=str(error))
    except Exception as error:  # a model that cannot run is one case's result, not the end of all
        found = Result(case.name, case.section, 0, error=f"{type(error).__name__}: {error}")
    return replace(found, seconds=round(time.perf_counter() - start, 2))


def check_twin(
    twin: Twin,
    *,
    section: str = "",
    device: str = "cpu",
    tf32: bool = False,
    policy: Policy = POLICY,
    probes: int = PROBES,
    tiers: tuple[str, ...] = ("float64", "float32"),
) -> Result:
    """Runs both sides in float64, to see whether they agree, and in each lower precision, to see how well."""
    jax_side, torch_side = jax_device(device), torch_device(device)
    rows = {}
    with pinned(tf32=tf32):
        oracle = run_torch(twin, "float64", torch_side, KEPT)
        for tier in tiers:
            flax = run_flax(twin, tier, jax_side, KEPT, tf32)
            disturbed = partial(_disturbed, twin, tier, torch_side)
            if tier == "float64":
                noise = noise_of(oracle, disturbed(range(probes)))
                rows[tier] = compare_semantics(oracle, flax, noise, twin.longest_sum, policy)
            else:
                rows[tier] = _precision(oracle, flax, twin, tier, disturbed, policy)
    params = sum(parameter.numel() for parameter in twin.torch_model.parameters())
    return Result(twin.name, section, params, rows)


def _precision(
    oracle: Record, flax: Record, twin: Twin, tier: str, disturbed: Callable[[range], Iterator[Record]], policy: Policy
) -> list[Row]:
    """PyTorch's error is the largest of a few runs that differ by one ulp: equally good ways of rounding.

    A unit of a rectifier or a maximum may flip in one of them and move a whole gradient. Where Flax's error
    seems too large, more runs tell how often PyTorch does the same.
    """
    reference = dict.fromkeys(oracle, 0.0)
    for seeds in (range(-1, PROBES), range(PROBES, MOST_PROBES)):
        more = errors_of(oracle, disturbed(seeds))
        reference = {key: max(error, more[key]) for key, error in reference.items()}
        rows = compare_precision(oracle, reference, flax, twin.longest_sum, tier, policy)
        if all(row.passed for row in rows):
            break
    return rows


def _disturbed(twin: Twin, dtype: str, device: str, seeds: range) -> Iterator[Record]:
    """A run of PyTorch for each seed, its weights and inputs moved by one ulp; seed -1 moves nothing."""
    for seed in seeds:
        yield run_torch(twin, dtype, device, KEPT, _one_ulp(seed) if seed >= 0 else np.asarray)


def _one_ulp(seed: int) -> Any:
    """Moves every number of an array to one of its two neighbours at random."""
    random = np.random.default_rng(seed)

    def disturb(array: np.ndarray) -> np.ndarray:
        towards = np.where(random.random(array.shape) < 0.5, -np.inf, np.inf).astype(array.dtype)
        return np.nextafter(array, towards)

    return disturb
