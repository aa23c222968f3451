"""The same mathematics in forms that are faster on a CPU, chosen by platform and static shape; elsewhere plain `lax`.

`plain_lax()` turns them off. What was tried without success stands with its figures in `parity/bench/TRIED.md`.
"""

from d2l_jax.cpu.bias import add_bias as add_bias
from d2l_jax.cpu.conv import conv_general_dilated as conv_general_dilated
from d2l_jax.cpu.dense import dot_general as dot_general
from d2l_jax.cpu.switch import plain_lax as plain_lax
