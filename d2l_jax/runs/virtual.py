"""Virtual devices of a CPU, which have to be there before JAX computes, and so before models are loaded."""

import jax

from d2l_jax.errors import InputError


def set_virtual_devices(count: int | None) -> None:
    """Makes so many devices of the CPU, before JAX computes.

    Raises InputError where the number cannot be, or JAX has begun with another one.
    """
    if count is None:
        return
    if count < 1:
        raise InputError(f"--devices {count} is too few; give 1 or more")
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError as error:
        raise InputError(f"--devices {count}: JAX has begun with {len(jax.devices())}; a new process serves") from error
