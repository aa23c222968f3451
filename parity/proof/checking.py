"""The options of a check, in one object."""

from dataclasses import dataclass

from d2l_jax.errors import InputError
from parity.compare.policy import POLICY, UNIT, Policy
from parity.listening import Listener
from parity.twin.inputs import check_steps
from parity.twin.twin import STEPS

PROBES = 4
TIERS = ("float64", "float32")


def silent(name: str, phase: str) -> None:
    """Leaves the phases of a check unsaid."""


@dataclass(frozen=True)
class Checking:
    """The way in which a twin is checked.

    device: "cpu" or "gpu", for both sides
    tf32:   let a GPU round float32 products to TF32 on both sides
    full:   the book's sizes, a batch of 3 and one step
    steps:  training steps, each on a batch of its own
    policy: how close is close enough
    probes: runs of PyTorch with numbers moved by one ulp, which measure noise
    tiers:  precisions: "float64", "float32", "bfloat16"
    layers: each layer on its own, too
    listener: hears each phase as it begins
    memory: bytes that the check may take; None is what the machine has free
    by_itself: compile layers on their own in float32 as `jax.jit` does without options, which takes longer

    Raises InputError where there would be no step, no memory or no tier.
    """

    device: str = "cpu"
    tf32: bool = False
    full: bool = False
    steps: int = STEPS
    policy: Policy = POLICY
    probes: int = PROBES
    tiers: tuple[str, ...] = TIERS
    layers: bool = True
    listener: Listener = silent
    memory: float | None = None
    by_itself: bool = False

    def __post_init__(self) -> None:
        check_steps(self.steps)
        if self.memory is not None and not self.memory > 0:
            raise InputError(f"memory={self.memory / 1e9:g} GB is too little; more than 0 is right")
        if not isinstance(self.policy, Policy):
            raise InputError(f"policy={self.policy!r} is none; a parity.compare.policy.Policy is right")
        for name in ("layers", "tf32"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name}={getattr(self, name)!r} is neither; True or False is right")
        if self.device not in ("cpu", "gpu"):
            raise InputError(f"there is no device {self.device!r}; 'cpu' or 'gpu' is right")
        if isinstance(self.tiers, str) or not self.tiers or set(self.tiers) - set(UNIT):
            known = ", ".join(map(repr, UNIT))
            raise InputError(f"tiers={self.tiers!r} cannot be compared; a tuple of some of {known} is right")
