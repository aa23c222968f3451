"""`python -m d2l_jax` is `d2l-jax`."""

from d2l_jax.cli import main

main()
