"""Where a check or a benchmark ran: versions, device, precision, threads. Pinned here, printed everywhere."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import jax
import torch

from d2l_jax.errors import InputError

PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch", "numpy")


def environment(device: str, threads: int = 1) -> dict[str, str | int]:
    """Versions and settings as they are in force during a check or a benchmark, for reports."""
    with pinned(threads=threads):
        return {
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
            "device": device,
            "jax_device": jax_device(device).device_kind,
            "jax_matmul_precision": "highest",
            "torch_tf32": str(torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32).lower(),
            "torch_threads": torch.get_num_threads(),
            "cpus": os.cpu_count() or 1,
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        }


def jax_device(device: str) -> jax.Device:
    """The first device of the kind. Raises InputError if JAX has none."""
    try:
        return jax.devices(device)[0]
    except RuntimeError:
        raise InputError(f"JAX has no device {device!r} here; --device cpu is right") from None


def torch_device(device: str) -> str:
    """PyTorch's name of it. Raises InputError if PyTorch has none."""
    if device == "gpu" and not torch.cuda.is_available():
        raise InputError("PyTorch has no GPU here; --device cpu is right")
    return "cuda" if device == "gpu" else device


@contextmanager
def pinned(*, tf32: bool = False, threads: int = 1, deterministic: bool = True) -> Iterator[None]:
    """PyTorch's precision, threads and choice of kernels; afterwards as before.

    One thread for checks: the float64 kernels of grouped convolutions lose a factor of 30 to two that contend.
    """
    cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, cublas.allow_tf32, cudnn.deterministic, torch.get_num_threads()
    _pin(tf32, tf32, deterministic, threads)
    try:
        yield
    finally:
        _pin(*before)


def _pin(cudnn_tf32: bool, cublas_tf32: bool, deterministic: bool, threads: int) -> None:
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = cudnn_tf32, cublas_tf32
    torch.backends.cudnn.deterministic = deterministic
    torch.set_num_threads(threads)
