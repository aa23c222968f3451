"""The same mathematics in forms that are faster on a CPU, chosen by platform and static shape; elsewhere plain `lax`.

`plain_lax()` (`switch.py`) turns them off. `thresholds.py` says which shape takes which form; `compile.py` has the
compiler's options, `memory.py` the process's memory. Products: `dense.py`. Convolutions: `conv.py` chooses among
`band.py`, `depthwise.py`, and, by `spatial.py`, `direct.py` and `winograd.py`. Sums and windows: `sums.py`, `bias.py`,
`windows.py`. Softmax: `rows.py`. All figures, also of what was tried without success, are in `parity/bench/TRIED.md`.
"""

from d2l_jax.cpu.bias import add_bias as add_bias
from d2l_jax.cpu.conv import conv_general_dilated as conv_general_dilated
from d2l_jax.cpu.dense import dot_general as dot_general
from d2l_jax.cpu.rows import cross_entropies as cross_entropies
from d2l_jax.cpu.rows import log_softmax as log_softmax
from d2l_jax.cpu.rows import softmax as softmax
from d2l_jax.cpu.switch import plain_lax as plain_lax
