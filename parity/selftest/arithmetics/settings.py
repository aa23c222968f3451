"""Arithmetics that a process can be started with."""

import os
import sys
from dataclasses import dataclass

from d2l_jax.errors import InputError

CAPABILITIES = ("DEFAULT", "AVX2", "AVX512")  # PyTorch's names of what a processor can do, in the order of ISAS
ISAS = ("SSE4.2", "AVX2", "AVX-512")

# The most that XLA, and that PyTorch with its libraries, may use.
XLA = {"SSE4.2": "SSE4_2", "AVX2": "AVX2", "AVX-512": "AVX512"}
TORCH = {
    # MKL_ENABLE_INSTRUCTIONS tells MKL nothing on other makers' processors.
    "SSE4.2": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "AVX-512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    },
}


@dataclass(frozen=True)
class Arithmetic:
    """A way in which the same programs round otherwise.

    xla, torch: the largest set of instructions, of ISAS; "" is left to the library
    core:       index of the only core, -1 is the last; None is all, and as many threads of XLA's (PyTorch has one
                in every check)
    """

    name: str
    xla: str = ""
    torch: str = ""
    core: int | None = None

    def environment(self) -> dict[str, str]:
        """Returns the variables of a process that computes so."""
        variables = dict(os.environ) | TORCH.get(self.torch, {})
        if self.xla:
            variables["XLA_FLAGS"] = f"{variables.get('XLA_FLAGS', '')} --xla_cpu_max_isa={XLA[self.xla]}".strip()
        return variables

    def cores(self) -> set[int]:
        """Returns the cores of such a process; none where the system cannot hold it to some."""
        if sys.platform != "linux":
            return set()
        every = sorted(os.sched_getaffinity(0))
        return set(every) if self.core is None else {every[self.core]}

    def runs_on(self, capability: str) -> bool:
        """Tells whether a processor of this capability, in PyTorch's words, has all of the instructions."""
        most = CAPABILITIES.index(capability) if capability in CAPABILITIES else 0
        return all(ISAS.index(isa) <= most for isa in (self.xla, self.torch) if isa)


PLAIN = Arithmetic("the machine's own")
ARITHMETICS = (
    PLAIN,
    Arithmetic("SSE4.2", "SSE4.2", "SSE4.2"),
    Arithmetic("AVX2", "AVX2", "AVX2"),
    Arithmetic("AVX-512", "AVX-512", "AVX-512"),
    Arithmetic("XLA SSE4.2, PyTorch AVX-512", "SSE4.2", "AVX-512"),
    Arithmetic("XLA AVX-512, PyTorch SSE4.2", "AVX-512", "SSE4.2"),
    Arithmetic("first core alone", core=0),
    Arithmetic("last core alone", core=-1),
)


def arithmetics(names: tuple[str, ...], capability: str) -> list[Arithmetic]:
    """Returns the arithmetics of these names, the machine's own first; all that it has where none is named.

    Raises InputError for a name that is none, or needs another processor.
    """
    by_name = {each.name: each for each in ARITHMETICS if each.runs_on(capability)}
    if unknown := [name for name in names if name not in by_name]:
        raise InputError(f"no arithmetic {unknown[0]!r} here; one of {', '.join(map(repr, by_name))} is right")
    return list({PLAIN: None} | dict.fromkeys(by_name[name] for name in names or by_name))
