"""Compiled programs kept in a folder: a later process need not compile them again."""

from pathlib import Path

import jax

from d2l_jax.write import explained


def keep_compiled(folder: Path) -> None:
    """JAX's persistent compilation cache, for every program however small. Raises InputError for no folder."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
