"""Training as pure functions of one state: the step, the epoch as a scan of it, and the loop over epochs."""

from d2l_jax.train.averages import ema_decay as ema_decay
from d2l_jax.train.averages import moved_average as moved_average
from d2l_jax.train.epoch import make_epoch as make_epoch
from d2l_jax.train.epoch import make_evaluation as make_evaluation
from d2l_jax.train.fit import EpochMeans as EpochMeans
from d2l_jax.train.fit import Event as Event
from d2l_jax.train.fit import Loop as Loop
from d2l_jax.train.fit import TrainingDiverged as TrainingDiverged
from d2l_jax.train.fit import fit as fit
from d2l_jax.train.state import TrainState as TrainState
from d2l_jax.train.steps import make_eval_step as make_eval_step
from d2l_jax.train.steps import make_train_step as make_train_step
from d2l_jax.train.steps import step as step
