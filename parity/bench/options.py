"""What `parity bench` is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from d2l_jax.errors import InputError
from parity.bench.precision import Precision

if TYPE_CHECKING:
    from parity.bench.plan import Plan

Flag = FlagCreatePairsOff[bool]
File = Annotated[Path | None, arg(metavar="FILE")]
Count = Annotated[int | None, arg(metavar="N")]
MODES = ("epoch", "scale", "run", "check")
STEPS_ONLY = ("memory", "roofline")
WRITES = {"scale": ("picture",), "check": ("markdown",), "growth": ("markdown", "picture")}  # beside JSON
SCALED = ("mlp", "lenet", "gru-lm", "transformer")  # one of each kind


@dataclass(frozen=True)
class BenchOptions:
    """A benchmark as it is asked for: of steps, unless a flag says otherwise."""

    names: Annotated[Positional[tuple[str, ...]], arg(metavar="NAME ...")] = ()
    """Cases to time; `d2l-jax list` shows them."""
    all: Flag = False
    """Time every case that has data; with --check every one."""
    epoch: Flag = False
    """Instead of steps: whole epochs on real data, against a DataLoader and against tensors in memory."""
    scale: Flag = False
    """Instead: how time and memory grow with batch, width, depth, length and image size."""
    run: Flag = False
    """Instead: whole runs from process start to the final accuracy, in fresh processes."""
    check: Flag = False
    """Instead: `parity check` itself, seconds by phase and memory, each case in a fresh process."""
    growth: Flag = False
    """With --check: how its time and memory grow with parameters, layers, steps and batch, on networks of its own."""
    epochs: Count = None
    """With --run: epochs to train, else the book's."""
    examples: Count = None
    """With --epoch: the first so many of an epoch, else all."""
    batch_size: Count = None
    """Instead of the book's, on both sides."""
    gflop: float = 150.0
    """Otherwise the book's batch is halved until a training step has at most so many billion operations."""
    repeats: int = 10
    """Turns of each program, each of at least two steps and a tenth of a second; fewer where the time is up."""
    seconds: float = 60.0
    """Time for the training steps of one case, and as much for its evaluation."""
    compile: bool = True
    """torch.compile too; on a GPU with and without CUDA graphs."""
    memory: Flag = False
    """Peak memory of a training step too, in a fresh process for each framework."""
    roofline: Flag = False
    """The machine's ceilings too, and the share of them that each model reaches."""
    device: Literal["cpu", "gpu"] = "cpu"
    """Where both frameworks run."""
    precision: Precision = "highest"
    """Full float32, float32 whose products a GPU may round to TF32, or bfloat16 throughout; on both sides."""
    json: File = None
    """Write the figures here; - is standard output."""
    markdown: File = None
    """Write the table as markdown here."""
    picture: File = None
    """Draw the figures here."""

    @property
    def chosen_names(self) -> tuple[str, ...]:
        """The names; --scale and --check without any take one model of each kind."""
        return SCALED if (self.scale or self.check) and not (self.names or self.all) else self.names

    @property
    def mode(self) -> str:
        """Returns what is timed: "steps", "growth" or one of `MODES`; InputError for flags that exclude each other."""
        chosen = [mode for mode in MODES if getattr(self, mode)]
        if len(chosen) > 1:
            raise InputError(f"--{chosen[0]} and --{chosen[1]} exclude each other; one of them is right")
        if self.epochs is not None and not self.run:
            raise InputError("--epochs is for whole runs; it is right with --run")
        if self.examples is not None and not self.epoch:
            raise InputError("--examples cuts an epoch; it is right with --epoch")
        if self.growth and not self.check:
            raise InputError("--growth is of the check; it is right with --check")
        if self.growth and (self.names or self.all):
            raise InputError("--growth checks networks of its own; leave the names out")
        mode = "growth" if self.growth else chosen[0] if chosen else "steps"
        if chosen:
            self._check_only_steps(mode)
        return mode

    def _check_only_steps(self, mode: str) -> None:
        for name in (*STEPS_ONLY, *({"markdown", "picture"} - {*WRITES.get(mode, ())})):
            if getattr(self, name):
                raise InputError(f"--{name} is for steps; it is wrong with --{mode}")
        if mode != "scale" and (self.device, self.precision) != ("cpu", "highest"):
            why = "in the precisions of `parity check`" if self.check else "in float32"
            raise InputError(f"--{mode} runs {why} on the CPU; leave --device and --precision out")
        if self.check and self.batch_size is not None:
            raise InputError(f"--batch-size is for training; it is wrong with --{mode}")

    def plan(self) -> "Plan":
        """Returns how steps are timed. Raises InputError for a wrong argument."""
        from parity.bench.plan import Plan

        return Plan(
            batch_size=self.batch_size,
            gflop=self.gflop,
            repeats=self.repeats,
            seconds=self.seconds,
            compile=self.compile,
            device=self.device,
            precision=self.precision,
            memory=self.memory,
            roofline=self.roofline,
        )
