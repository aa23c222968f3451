"""What is timed, and under which conditions."""

from dataclasses import dataclass

from d2l_jax.errors import InputError
from parity.bench.precision import Precision
from parity.bench.timing import LEAST
from parity.environment import jax_device, torch_device


@dataclass(frozen=True)
class Plan:
    """The way in which steps are timed.

    batch_size: instead of the book's, on both sides
    gflop:      without `batch_size`: the book's batch is halved until a training step has at most so much arithmetic
    repeats:    turns of each program, each of at least 2 steps and a tenth of a second; fewer where `seconds` run out
    seconds:    for the steps of one case in training, and as many in evaluation
    compile:    torch.compile too, given up after `compile_limit` seconds
    memory:     the peak memory of a training step too, each in a fresh process
    roofline:   the machine's ceilings too, and what share of them each model reaches

    Raises InputError for a wrong argument.
    """

    batch_size: int | None = None
    gflop: float = 150.0
    repeats: int = 10
    seconds: float = 60.0
    compile: bool = True
    compile_limit: float = 300.0
    device: str = "cpu"
    precision: Precision = "highest"
    memory: bool = False
    roofline: bool = False

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch size {self.batch_size} is too small; 1 or more is right")
        if not self.gflop > 0:
            raise InputError(f"--gflop {self.gflop:g} is no budget; a number above 0 is right")
        if self.repeats < LEAST:
            raise InputError(f"{self.repeats} repeats are too few; {LEAST} or more are right")
        if self.memory and self.device != "cpu":
            raise InputError("--memory reads the memory of a process; it is right with --device cpu")
        jax_device(self.device)
        torch_device(self.device)
