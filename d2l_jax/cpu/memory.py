"""Memory that stays with the process when it is freed."""

import contextlib
import ctypes

import jax

# Of glibc's mallopt: no memory is mapped for one piece alone, none that is free at the top of a heap is given back.
OPTIONS = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, -1)}


def keep_memory() -> bool:
    """Lets glibc keep freed memory for the next allocation; False where there is no glibc. Call it before JAX computes.

    XLA:CPU allocates the scratch memory of a program at each call and frees it behind. glibc gives so large a piece
    back to the kernel, which fills new pages with zeros at the next call: a third of DenseNet's training step. It
    concerns the whole process, so commands call it, and importing the package does not.

    It also has programs started by the thread that calls them (JAX's asynchronous dispatch is off on a CPU): only the
    main thread's heap can hold pieces above 64 MiB, and the workers, with heaps of their own, need not wait for it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    return all(mallopt(option, value) for option, value in OPTIONS.values())


def trim() -> None:
    """Gives the memory that is free now back to the system, where there is glibc; what follows is kept again."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
