"""Memory that stays with the process when it is freed."""

import ctypes

ARENAS, MAPPINGS, KEPT = -8, -4, -1  # M_ARENA_MAX, M_MMAP_MAX and M_TRIM_THRESHOLD of glibc's mallopt
ALL = -1


def keep_memory() -> bool:
    """Lets glibc keep freed memory for the next allocation; False where there is no glibc.

    XLA:CPU allocates the scratch memory of a program at each call and frees it behind. glibc gives so large a piece
    back to the kernel, which fills new pages with zeros at the next call: a third of DenseNet's training step. It
    concerns the whole process, so commands call it, and importing the package does not; threads that have allocated
    before keep their ways.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return all(mallopt(option, value) for option, value in ((ARENAS, 1), (MAPPINGS, 0), (KEPT, ALL)))
