"""Data sets as NumPy arrays: real ones where they are found, an embedded default for each kind.

Nothing here knows jax, torch or tensorflow, and importing it reads no file.
"""

from d2l_jax.data.batches import BatchOrder as BatchOrder
from d2l_jax.data.batches import batch_order as batch_order
from d2l_jax.data.dataset import Dataset as Dataset
from d2l_jax.data.folds import fold as fold
from d2l_jax.data.folds import k_fold as k_fold
from d2l_jax.data.loading import KNOWN as KNOWN
from d2l_jax.data.loading import load as load
from d2l_jax.data.prepare import prepare as prepare
from d2l_jax.data.resize import resize_images as resize_images
from d2l_jax.data.synthetic import (
    ohms_law as ohms_law,
)
from d2l_jax.data.synthetic import (
    synthetic_regression as synthetic_regression,
)
from d2l_jax.data.synthetic import (
    weight_decay_data as weight_decay_data,
)
