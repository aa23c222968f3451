"""How fast: jitted JAX against PyTorch, and only where both compute the same: steps, epochs, whole runs."""
