"""The models of Dive into Deep Learning as functional, jitted Flax NNX models."""

from d2l_jax.cpu.memory import keep_memory as keep_memory
from d2l_jax.errors import InputError as InputError
from d2l_jax.functional import Functional as Functional
from d2l_jax.functional import eval_view as eval_view
from d2l_jax.functional import functional as functional
from d2l_jax.functional import intermediates as intermediates
from d2l_jax.functional import train_view as train_view
from d2l_jax.train import TrainState as TrainState
from d2l_jax.train import fit as fit
from d2l_jax.train import make_epoch as make_epoch
from d2l_jax.train import make_eval_step as make_eval_step
from d2l_jax.train import make_train_step as make_train_step
from d2l_jax.turns import Observed as Observed
from d2l_jax.turns import Turn as Turn
from d2l_jax.turns import supervised as supervised

__version__ = "0.1.0"
