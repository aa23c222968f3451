"""Flax models of either kind as pure functions, and the calls of their submodules."""
