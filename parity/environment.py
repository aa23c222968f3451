"""Where a check or a benchmark ran: versions, device, precision, threads. Pinned here, printed everywhere."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TypeAlias

import jax

from d2l_jax.errors import InputError

Device: TypeAlias = jax.Device  # pyright: ignore[reportInvalidTypeForm]  # jaxlib has no stub of it
PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch", "numpy")


def environment(device: str, threads: int = 1, tf32: bool = False) -> dict[str, str | int]:
    """Versions and settings as they are in force during a check or a benchmark, for reports."""
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


def share_gpu() -> None:
    """Has JAX take a GPU's memory as it needs it, and not three quarters at once: PyTorch is there, too.

    Call it before JAX computes; what the user has set holds.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def jax_precision(tf32: bool) -> str:
    """JAX's name for products in full float32, or rounded to TF32 where the device can."""
    return "tensorfloat32" if tf32 else "highest"


def jax_device(device: str) -> Device:
    """The first device of the kind. Raises InputError if JAX has none."""
    try:
        return jax.devices(device)[0]
    except RuntimeError:
        raise InputError(f"JAX has no device {device!r} here; --device cpu is right") from None


def torch_device(device: str) -> str:
    """PyTorch's name of it. Raises InputError if PyTorch has none."""
    import torch

    if device == "gpu" and not torch.cuda.is_available():
        raise InputError("PyTorch has no GPU here; --device cpu is right")
    return "cuda" if device == "gpu" else device


@contextmanager
def pinned(*, tf32: bool = False, threads: int = 1, deterministic: bool = True) -> Iterator[None]:
    """PyTorch's precision, threads and choice of kernels; afterwards as before.

    deterministic: if not, cuDNN times its convolutions and takes the fastest, as XLA does.
    One thread for checks: the float64 kernels of grouped convolutions lose a factor of 30 to two that contend.
    """
    import torch

    cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, bool(cublas.allow_tf32), cudnn.deterministic, cudnn.benchmark, torch.get_num_threads()
    _pin(tf32, tf32, deterministic, not deterministic, threads)
    try:
        yield
    finally:
        _pin(*before)


def _pin(cudnn_tf32: bool, cublas_tf32: bool, deterministic: bool, benchmark: bool, threads: int) -> None:
    import torch

    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = cudnn_tf32, cublas_tf32
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark
    torch.set_num_threads(threads)
