"""The options of `parity check`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from d2l_jax.errors import InputError
from d2l_jax.write import check_writable

if TYPE_CHECKING:
    from d2l_jax.case import Case
    from parity.proof.checking import Listener
    from parity.result import Result

Flag = FlagCreatePairsOff[bool]
File = Annotated[Path | None, arg(metavar="FILE")]


@dataclass(frozen=True)
class CheckOptions:
    """A check as the command is asked for it."""

    names: Annotated[Positional[tuple[str, ...]], arg(metavar="NAME ...")] = ()
    """Cases to check; `d2l-jax list` shows them. Or MODULE:FUNCTION for a pair of your own: the function returns
    (flax_model, torch_model, inputs), or a dict of the arguments of parity.check."""
    all: Flag = False
    """Check every case."""
    full: Flag = False
    """The book's sizes instead of small ones; minutes and gigabytes for the large models."""
    device: Literal["cpu", "gpu"] = "cpu"
    """Where both frameworks run."""
    tf32: Flag = False
    """Let a GPU round float32 products to TF32, on both sides."""
    bfloat16: Flag = False
    """That precision too; on CPU, XLA sums some gradients in it, and PyTorch does not."""
    steps: int = 5
    """Training steps, each compared as sharply as the first."""
    layers: bool = True
    """Each layer on its own, too; without, a check takes half the time, and layers are looked into where
    something fails."""
    jobs: int = 1
    """Processes that check side by side."""
    devices: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: one)")] = None
    """Compare the step over so many devices, the batch cut over them, with the step on one, in float64; on a CPU
    they are virtual. PyTorch measures what rounding may do."""
    ddp: Flag = False
    """With --devices: compare with PyTorch's DistributedDataParallel instead, over gloo in as many processes."""
    batch_norm: Annotated[Literal["synchronised", "per-replica"], arg(metavar="KIND")] = "synchronised"
    """With --ddp: batch statistics of the whole batch, or of each device's share."""
    memory: Annotated[float | None, arg(metavar="GB", help_behavior_hint="(default: what is free)")] = None
    """Gigabytes that the check may take; one that needs more, by estimate, is refused before it starts."""
    json: File = None
    """Write the whole result here; - is standard output."""
    markdown: File = None
    """Write the table here, as it stands in docs/results.md."""
    html: File = None
    """Write one page with every phase, the tensors closest to their limits, and pictures."""
    junit: File = None
    """Write the verdicts as JUnit's XML, for CI servers."""
    repro: Annotated[Path | None, arg(metavar="DIR")] = None
    """For each failing case, write a folder with its tensors and a script that needs numpy alone."""

    @property
    def own_pairs(self) -> list[str]:
        """The names that are MODULE:FUNCTION, each once."""
        return [name for name in dict.fromkeys(self.names) if ":" in name]

    @property
    def case_names(self) -> tuple[str, ...]:
        """The names of cases, each once."""
        return tuple(name for name in dict.fromkeys(self.names) if ":" not in name)

    @property
    def tiers(self) -> tuple[str, ...]:
        """The precisions in which all is compared."""
        return ("float64", "float32", "bfloat16") if self.bfloat16 else ("float64", "float32")

    def validate(self) -> None:
        """Raises InputError where an option cannot be, before anything is loaded or runs."""
        for name, number in {"--steps": self.steps, "--jobs": self.jobs}.items():
            if number < 1:
                raise InputError(f"{name} {number} is too few; 1 or more is right")
        if self.memory is not None and not self.memory > 0:
            raise InputError(f"--memory {self.memory:g} is too little; more than 0 GB is right")
        if self.own_pairs and (self.devices is not None or self.full):
            raise InputError(f"--devices and --full are for cases; leave them out for {self.own_pairs[0]}")
        if file := next((name for name in self.case_names if name.endswith(".py")), None):
            raise InputError(f"{file} is a file; {file}:FUNCTION, which returns a pair, is right")
        files = {"--json": self.json, "--markdown": self.markdown, "--html": self.html, "--junit": self.junit}
        check_writable(files | {"--repro": self.repro}, folders=("--repro",))

    def results(self, cases: Sequence["Case"], listener: "Listener") -> Iterator["Result"]:
        """Returns the results of the cases, each as soon as it is there; `listener` hears the phases before."""
        from parity.proof.cases import check_cases
        from parity.proof.devices import Spread, check_devices

        if self.devices is not None:
            self._refuse_what_devices_ignore()
            return check_devices(cases, Spread(self.devices, self.device, self.ddp, self.batch_norm), self.steps)
        if self.ddp or self.batch_norm != "synchronised":
            raise InputError("--ddp and --batch-norm need --devices, the number of processes")
        return check_cases(
            cases,
            jobs=self.jobs,
            listener=listener,
            device=self.device,
            tf32=self.tf32,
            full=self.full,
            steps=self.steps,
            tiers=self.tiers,
            layers=self.layers,
            memory=None if self.memory is None else self.memory * 1e9,
        )

    def own_results(self, listener: "Listener") -> Iterator["Result"]:
        """Returns the results of the pairs of the user's own, one after the other."""
        from parity.named_pair import check_named

        for name in self.own_pairs:
            yield check_named(
                name,
                listener,
                device=self.device,
                tf32=self.tf32,
                steps=self.steps,
                tiers=self.tiers,
                layers=self.layers,
                memory=self.memory,
            )

    def _refuse_what_devices_ignore(self) -> None:
        ignored = {
            "--full": self.full,
            "--bfloat16": self.bfloat16,
            "--no-layers": not self.layers,
            "--tf32": self.tf32,
            "--memory": self.memory is not None,
        }
        ignored["--jobs"] = self.jobs != 1
        if named := [name for name, chosen in ignored.items() if chosen]:
            raise InputError(f"--devices compares float64 steps in one process; it does not go with {', '.join(named)}")
