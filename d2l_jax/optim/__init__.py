"""`torch.optim` as Optax: the same names, options, defaults and conventions.

Algorithms: every factory takes `groups`, {end of a parameter's PyTorch name: options that differ for it}, the
counterpart of PyTorch's parameter groups; the first ending that fits a name wins.
`SGD(0.1, weight_decay=3.0, groups={"bias": {"weight_decay": 0.0}})`.
`lr` is a number or a schedule: an Optax one, or one of PyTorch's and of the book's below.
Their states are named tuples whose fields are PyTorch's slots (`exp_avg`, `momentum_buffer`, ...) and its `step`.

Clipping comes first in a chain: `optax.chain(clip_gradients(1.0), SGD(0.1))`.
"""

from d2l_jax.optim.adadelta import Adadelta, AdadeltaState, scale_by_adadelta
from d2l_jax.optim.adagrad import Adagrad, AdagradState, scale_by_adagrad
from d2l_jax.optim.adam import Adam, AdamState, AdamW, AMSGradState, scale_by_adam
from d2l_jax.optim.adamax import Adamax, AdamaxState
from d2l_jax.optim.asgd import ASGD, ASGDState
from d2l_jax.optim.book_schedules import (
    ByEpoch,
    CosineScheduler,
    FactorScheduler,
    SquareRootScheduler,
    WSDScheduler,
    by_epoch,
    exponential_factor,
    one_late,
    polynomial_factor,
)
from d2l_jax.optim.clip import clip_grad_norm, clip_grad_value, clip_gradients
from d2l_jax.optim.composed import ChainedScheduler, SequentialLR
from d2l_jax.optim.cycles import CosineAnnealingWarmRestarts, CyclicLR
from d2l_jax.optim.gradient import add_decayed_weights
from d2l_jax.optim.groups import Groups
from d2l_jax.optim.lbfgs import LBFGS, LBFGSState
from d2l_jax.optim.muon import Muon, newton_schulz
from d2l_jax.optim.nadam import NAdam, NAdamState
from d2l_jax.optim.one_cycle import OneCycleLR
from d2l_jax.optim.plateau import Plateau, PlateauState, ReduceLROnPlateau
from d2l_jax.optim.radam import RAdam
from d2l_jax.optim.rate import Rate, scale_by_rate
from d2l_jax.optim.rmsprop import CenteredState, RMSprop, RMSpropState, scale_by_rmsprop
from d2l_jax.optim.rprop import Rprop, RpropState
from d2l_jax.optim.schedules import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from d2l_jax.optim.scratch import AdagradScratch, RMSPropScratch
from d2l_jax.optim.sgd import SGD, MomentumState, scale_by_momentum
from d2l_jax.optim.sparse_adam import SparseAdam, SparseAdamState
from d2l_jax.optim.yogi import Yogi

__all__ = [
    "Adadelta",
    "AdadeltaState",
    "Adagrad",
    "AdagradScratch",
    "AdagradState",
    "Adam",
    "Adamax",
    "AdamaxState",
    "AdamState",
    "AdamW",
    "add_decayed_weights",
    "AMSGradState",
    "ASGD",
    "ASGDState",
    "by_epoch",
    "ByEpoch",
    "CenteredState",
    "ChainedScheduler",
    "clip_grad_norm",
    "clip_grad_value",
    "clip_gradients",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CosineScheduler",
    "CyclicLR",
    "exponential_factor",
    "ExponentialLR",
    "FactorScheduler",
    "Groups",
    "LambdaLR",
    "LBFGS",
    "LBFGSState",
    "LinearLR",
    "MomentumState",
    "MultiStepLR",
    "Muon",
    "NAdam",
    "NAdamState",
    "newton_schulz",
    "one_late",
    "OneCycleLR",
    "Plateau",
    "PlateauState",
    "polynomial_factor",
    "PolynomialLR",
    "RAdam",
    "Rate",
    "ReduceLROnPlateau",
    "RMSprop",
    "RMSPropScratch",
    "RMSpropState",
    "Rprop",
    "RpropState",
    "scale_by_adadelta",
    "scale_by_adagrad",
    "scale_by_adam",
    "scale_by_momentum",
    "scale_by_rate",
    "scale_by_rmsprop",
    "SequentialLR",
    "SGD",
    "SparseAdam",
    "SparseAdamState",
    "SquareRootScheduler",
    "StepLR",
    "WSDScheduler",
    "Yogi",
]
