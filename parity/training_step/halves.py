"""Mixed precision: which half precisions either step computes in."""

import math
import re
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from d2l_jax.errors import InputError
from parity.arrays.key import Key
from parity.compare.policy import UNIT, Policy
from parity.compare.rows import Row, failure
from parity.training_step.pair import StepPair, in_tier
from parity.training_step.torch_memory import rounded
from parity.twin.pairing import longest_sum

UNIT_OF = {"bfloat16": UNIT["bfloat16"], "float16": 2.0**-11}
LONG = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


class _Watching(TorchDispatchMode):
    """Notes every half precision that an operator puts out."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.dtype in (torch.bfloat16, torch.float16):
                self.seen.add(str(tensor.dtype).removeprefix("torch."))
        return result


def torch_halves(pair: StepPair, dtype: str) -> set[str]:
    """Returns the half precisions in PyTorch's first step, taken in `dtype`: autocast leaves float64 alone."""
    pair.torch.put(rounded(pair.torch.original), dtype)
    with _Watching() as watching:
        pair.torch.taken(1, dtype)
    return watching.seen


def jax_halves(pair: StepPair, tier: str = "float32") -> set[str]:
    """Returns the precisions below the tier's in the program of JAX's step; none of one that cannot be traced."""
    try:
        with in_tier(tier):
            program = pair.jax.traced(pair.jax.state.leaves, pair.batches[0], tier)[0]
    except Exception:  # it looks at its numbers
        return set()
    names = "bf16|f16|f32" if tier == "float64" else "bf16|f16"
    return {LONG[name] for name in re.findall(rf"\b({names})\[", str(program))}


def unequal(ours: set[str], theirs: set[str]) -> list[Row]:
    """Returns a failing row where the steps round to different precisions."""
    if ours == theirs:
        return []
    in_flax, in_torch = (" and ".join(sorted(halves)) or "float32 alone" for halves in (ours, theirs))
    return [
        failure(Key(1, "forward", "mixed precision"), f"Flax's step computes in {in_flax}, PyTorch's in {in_torch}")
    ]


def _runs(pair: StepPair, tier: str) -> str:
    """Returns why JAX's step does not run in a tier; "" where it does."""
    try:
        with in_tier(tier):
            pair.jax_taken(1, pair.jax.state.leaves, tier)
    except InputError:
        raise
    except Exception as error:
        lines = str(error).splitlines()
        return f"{type(error).__name__}: {lines[0] if lines else ''}"
    return ""


@dataclass(frozen=True)
class Compared:
    """The tiers in which two steps can be compared.

    policy:  wide enough for what both round to
    rows:    of precisions that differ
    skipped: {tier: why it is left out}
    """

    pair: StepPair
    tiers: tuple[str, ...]
    policy: Policy
    rows: list[Row]
    skipped: dict[str, str]


def compared_in(pair: StepPair, tiers: tuple[str, ...], policy: Policy) -> Compared:
    """Returns how the steps are compared, as far as they round to half precision.

    Raises InputError where JAX's step does not run.
    """
    if why := _runs(pair, tiers[-1] if set(tiers) == {"float64"} else "float32"):
        raise InputError(f"jax_step does not run on the first batch: {why}")
    ours = jax_halves(pair)
    theirs = torch_halves(pair, "float32")
    pair = replace(pair, narrow=bool(jax_halves(pair, "float64")))
    skipped = _skipped(pair, tiers, theirs)
    remaining = tuple(tier for tier in tiers if tier not in skipped)
    if ours and theirs:
        unit = max(UNIT_OF[name] for name in ours | theirs)
        sums = policy.sums * unit / (math.sqrt(longest_sum(pair.problem)) * UNIT["float32"])
        policy = replace(policy, sums=sums, blunt=max(policy.blunt, 50 * unit))
        pair = replace(pair, coarse=round(unit / UNIT["float32"]))  # a unit of a rectifier may flip by such a rounding
    return Compared(pair, remaining, policy, unequal(ours, theirs), skipped)


def _skipped(pair: StepPair, tiers: tuple[str, ...], theirs: set[str]) -> dict[str, str]:
    """Returns why the float64 tier is left out, where another is there."""
    if set(tiers) == {"float64"} or "float64" not in tiers:
        return {}
    if theirs and torch_halves(pair, "float64"):
        return {"float64": "PyTorch's step rounds to half precision by itself, in float64 too"}
    why = _runs(pair, "float64")
    return {"float64": f"JAX's step does not run in it: {why}"} if why else {}
