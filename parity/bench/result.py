"""What the benchmark of one case found."""

from dataclasses import dataclass, field

from parity.bench.phase import Timed
from parity.bench.timing import Stats


@dataclass(frozen=True)
class BenchResult:
    """Training and evaluation of one case.

    inputs:     shape of the first input; book_batch: examples in the book's batch
    flops:      arithmetic of a training step of JAX; traffic: bytes that it reads and writes, if asked for
    memory:     peak bytes of a training step per framework, if asked for
    error:      why there is nothing else
    """

    name: str
    inputs: tuple[int, ...]
    book_batch: int = 0
    training: Timed = field(default_factory=Timed)
    evaluation: Timed = field(default_factory=Timed)
    flops: float | None = None
    traffic: float | None = None
    memory: dict[str, int] = field(default_factory=dict)
    error: str = ""

    @property
    def status(self) -> str:
        """Returns what of "ok", "disturbed" (others used the machine), "disagree" or "error" it is."""
        if self.error:
            return "error"
        statuses = {self.training.status, self.evaluation.status}
        return next(status for status in ("disagree", "disturbed", "ok") if status in statuses)

    def stats(self, program: str) -> Stats | None:
        """Returns the ratio of a training step."""
        return self.training.stats(program)

    def ratio(self, program: str, of: str = "median") -> float | None:
        """Returns, of training steps, PyTorch's time over JAX's."""
        return None if self.error else self.training.ratio(program, of)

    @property
    def ratio_eager(self) -> float | None:
        return self.ratio("torch_eager")

    @property
    def ratio_compile(self) -> float | None:
        return self.ratio("torch_compile")

    @property
    def compile_time_ratio(self) -> float | None:
        """torch.compile's seconds over those of JAX."""
        seconds = [s.compile_s for n in ("torch_compile", "jax") if (s := self.training.started.get(n))]
        return seconds[0] / seconds[1] if len(seconds) == 2 and seconds[0] and seconds[1] else None
