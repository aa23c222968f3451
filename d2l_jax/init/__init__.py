"""Initialisers of the book's models, and the 15 of `torch.nn.init`, by their names without the underscore.

An initialiser is a function (key, shape, dtype) as in `jax.nn.initializers`. `ones`, `zeros` and `eye` are such
functions, the others return one for their options: `kaiming_uniform(a=0.1)(key, (3, 3, inputs, outputs))`.

`shape` is in Flax's layout, (*window, in, out); PyTorch's is (out, in, *window). The fans are the
same in both: fan_in is shape[-2] times the window, fan_out shape[-1] times the window, also for grouped kernels and
for transposed convolutions as (*window, out, in), the layout of `transpose_kernel=True`. The table of an Embedding
has the same layout in both, so its fans are exchanged.
"""

from d2l_jax.init.book import init_cnn as init_cnn
from d2l_jax.init.book import init_dcgan as init_dcgan
from d2l_jax.init.book import init_normal as init_normal
from d2l_jax.init.book import init_tables as init_tables
from d2l_jax.init.book import init_weights as init_weights
from d2l_jax.init.book import torch_bias as torch_bias
from d2l_jax.init.book import torch_weight as torch_weight
from d2l_jax.init.book import zero_biases as zero_biases
from d2l_jax.init.fixed import constant as constant
from d2l_jax.init.fixed import dirac as dirac
from d2l_jax.init.fixed import eye as eye
from d2l_jax.init.fixed import ones as ones
from d2l_jax.init.fixed import zeros as zeros
from d2l_jax.init.matrix import orthogonal as orthogonal
from d2l_jax.init.matrix import sparse as sparse
from d2l_jax.init.plain import normal as normal
from d2l_jax.init.plain import trunc_normal as trunc_normal
from d2l_jax.init.plain import uniform as uniform
from d2l_jax.init.scaled import calculate_gain as calculate_gain
from d2l_jax.init.scaled import kaiming_normal as kaiming_normal
from d2l_jax.init.scaled import kaiming_uniform as kaiming_uniform
from d2l_jax.init.scaled import xavier_normal as xavier_normal
from d2l_jax.init.scaled import xavier_uniform as xavier_uniform
