"""The environment of a check or a benchmark: versions, device, precision, threads, which are set and reported."""

import os
import platform
import random
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from d2l_jax.errors import InputError, in_a_line

if TYPE_CHECKING:
    import jax

    Device: TypeAlias = jax.Device  # pyright: ignore[reportInvalidTypeForm]  # jaxlib has no stub of it
else:
    Device = Any  # a command's help loads this file, and waits for no JAX
PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch", "numpy")


def environment(device: str, threads: int = 1, tf32: bool = False) -> dict[str, str | int]:
    """Versions and settings that are in force during a check or a benchmark, by name, for reports.

    Raises InputError if JAX or PyTorch has no such device.
    """
    from importlib.metadata import version

    import torch

    torch_device(device)
    with pinned(threads=threads, tf32=tf32):
        return {
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
            "device": device,
            "jax_device": jax_device(device).device_kind,
            "jax_matmul_precision": jax_precision(tf32),
            "torch_tf32": str(torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32).lower(),
            "torch_threads": torch.get_num_threads(),
            "cpus": os.cpu_count() or 1,
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        }


def circumstances() -> dict[str, str]:
    """Date, commit of the folder that the command runs in, where it has one, and the command itself, by name."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):  # no repository, or no git
        commit = ""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    called = shlex.join([name, *sys.argv[1:]]) if name else ""
    now = datetime.now(UTC).isoformat(" ", "seconds")
    return {"date": now} | ({"commit": commit} if commit else {}) | ({"command": called} if called else {})


def torch_problem() -> str:
    """Returns why PyTorch cannot be used, in one line; "" where it can."""
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name == "torch":
            return "parity compares with PyTorch, which is not installed: pip install 'd2l-jax[parity]'"
        return f"PyTorch is installed, but does not load: {in_a_line(error)}; install it anew"
    except Exception as error:  # a library that is missing, or of another version: any kind of error
        return f"PyTorch is installed, but does not load: {in_a_line(error)}; install it anew"
    whole = hasattr(torch, "nn")
    return "" if whole else f"the torch that is found is not PyTorch: {list(getattr(torch, '__path__', ['?']))[0]}"


def require_torch() -> None:
    """Raises InputError where PyTorch is missing or broken."""
    if problem := torch_problem():
        raise InputError(problem)


def share_gpu() -> None:
    """Makes JAX allocate GPU memory as it needs it, instead of three quarters at once: PyTorch needs some, too.

    Call it before JAX computes; a setting of the user's stays.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def jax_precision(tf32: bool) -> str:
    """JAX's name of the precision of matmuls: full float32, or TF32 where the device has it."""
    return "tensorfloat32" if tf32 else "highest"


def jax_device(device: str) -> Device:
    """JAX's first device of the kind, such as `"cpu"` or `"gpu"`. Raises InputError if JAX has none."""
    import jax

    try:
        return jax.devices(device)[0]
    except RuntimeError:
        raise InputError(f"JAX has no device {device!r} here; --device cpu is right") from None


def torch_device(device: str) -> str:
    """PyTorch's name of a device, such as `"cuda"` for `"gpu"`. Raises InputError if PyTorch has none."""
    import torch

    if device == "gpu" and not torch.cuda.is_available():
        raise InputError("PyTorch has no GPU here; --device cpu is right")
    return "cuda" if device == "gpu" else device


@contextmanager
def seeded() -> Iterator[None]:
    """Seeds the global generators of PyTorch, NumPy and Python within a block, and restores them afterwards.

    What a user's model or loss draws from them is the same in every check, whatever was drawn before it.
    """
    import numpy as np
    import torch

    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(gpus):
        for generator in (torch.default_generator, *(torch.cuda.default_generators[gpu] for gpu in gpus)):
            generator.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


@contextmanager
def pinned(*, tf32: bool = False, threads: int = 1, deterministic: bool = True) -> Iterator[None]:
    """Sets PyTorch's precision, threads and choice of kernels within a block, and restores them afterwards.

    deterministic: if False, cuDNN times its convolutions and takes the fastest, as XLA does

    One thread for checks: the float64 kernels of grouped convolutions lose a factor of 30 to two that contend.
    """
    import torch

    cudnn = torch.backends.cudnn
    cublas = torch.backends.cuda.matmul
    before = cudnn.allow_tf32, bool(cublas.allow_tf32), cudnn.deterministic, cudnn.benchmark, torch.get_num_threads()
    _pin(tf32, tf32, deterministic, not deterministic, threads)
    try:
        yield
    finally:
        _pin(*before)


def _pin(cudnn_tf32: bool, cublas_tf32: bool, deterministic: bool, benchmark: bool, threads: int) -> None:
    import torch

    torch.backends.cudnn.allow_tf32 = cudnn_tf32
    torch.backends.cuda.matmul.allow_tf32 = cublas_tf32
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = benchmark
    torch.set_num_threads(threads)
