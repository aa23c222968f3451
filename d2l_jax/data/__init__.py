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
from d2l_jax.data.loading import load_raw as load_raw
from d2l_jax.data.number_words import number_words as number_words
from d2l_jax.data.pooling import noisy_curve as noisy_curve
from d2l_jax.data.prepare import prepare as prepare
from d2l_jax.data.resize import resize_images as resize_images
from d2l_jax.data.sequence import noisy_sine as noisy_sine
from d2l_jax.data.synthetic import (
    ohms_law as ohms_law,
)
from d2l_jax.data.synthetic import (
    synthetic_regression as synthetic_regression,
)
from d2l_jax.data.synthetic import (
    weight_decay_data as weight_decay_data,
)
from d2l_jax.data.text import text_data as text_data
from d2l_jax.data.text import text_tokens as text_tokens
from d2l_jax.data.topics import topics as topics
from d2l_jax.data.translation import encode as encode
from d2l_jax.data.translation import read_pairs as read_pairs
from d2l_jax.data.translation import sentence_tokens as sentence_tokens
from d2l_jax.data.translation import translation_data as translation_data
from d2l_jax.data.vocab import Vocab as Vocab
from d2l_jax.data.vocab import ngram_frequencies as ngram_frequencies
from d2l_jax.data.windows import cut as cut
from d2l_jax.data.windows import every_window as every_window
from d2l_jax.data.windows import random_windows as random_windows
from d2l_jax.data.windows import sequential_windows as sequential_windows
