"""Data sets as NumPy arrays: real ones where this machine has them, an embedded default for each kind.

Nothing here knows jax, torch or tensorflow, and importing it reads no file.
"""

from d2l_jax.data.batches import BatchOrder as BatchOrder
from d2l_jax.data.batches import batch_order as batch_order
from d2l_jax.data.dataset import Dataset as Dataset
from d2l_jax.data.drawn.pooling import noisy_curve as noisy_curve
from d2l_jax.data.drawn.sequence import noisy_sine as noisy_sine
from d2l_jax.data.drawn.synthetic import (
    ohms_law as ohms_law,
)
from d2l_jax.data.drawn.synthetic import (
    synthetic_regression as synthetic_regression,
)
from d2l_jax.data.drawn.synthetic import (
    weight_decay_data as weight_decay_data,
)
from d2l_jax.data.find.kinds import EMBEDDED as EMBEDDED
from d2l_jax.data.find.kinds import kind_of as kind_of
from d2l_jax.data.find.kinds import stand_in as stand_in
from d2l_jax.data.find.loading import KNOWN as KNOWN
from d2l_jax.data.find.loading import load as load
from d2l_jax.data.find.loading import load_raw as load_raw
from d2l_jax.data.find.prepare import prepare as prepare
from d2l_jax.data.images.resize import resize_images as resize_images
from d2l_jax.data.tables.folds import fold as fold
from d2l_jax.data.tables.folds import k_fold as k_fold
from d2l_jax.data.text.corpus import text_data as text_data
from d2l_jax.data.text.corpus import text_tokens as text_tokens
from d2l_jax.data.text.drawn_sentences import drawn_pairs as drawn_pairs
from d2l_jax.data.text.drawn_sentences import drawn_reviews as drawn_reviews
from d2l_jax.data.text.number_words import number_words as number_words
from d2l_jax.data.text.reviews import Review as Review
from d2l_jax.data.text.reviews import review_data as review_data
from d2l_jax.data.text.reviews import review_tokens as review_tokens
from d2l_jax.data.text.snli import Pair as Pair
from d2l_jax.data.text.snli import inference_data as inference_data
from d2l_jax.data.text.snli import parse_snli as parse_snli
from d2l_jax.data.text.snli import sentence_words as sentence_words
from d2l_jax.data.text.topics import topics as topics
from d2l_jax.data.text.translation import encode as encode
from d2l_jax.data.text.translation import read_pairs as read_pairs
from d2l_jax.data.text.translation import sentence_tokens as sentence_tokens
from d2l_jax.data.text.translation import translation_data as translation_data
from d2l_jax.data.text.vectors import TokenEmbedding as TokenEmbedding
from d2l_jax.data.text.vectors import find_vectors as find_vectors
from d2l_jax.data.text.vectors import parse_vectors as parse_vectors
from d2l_jax.data.text.vectors import read_vectors as read_vectors
from d2l_jax.data.text.vocab import Vocab as Vocab
from d2l_jax.data.text.vocab import ngram_frequencies as ngram_frequencies
from d2l_jax.data.text.windows import cut as cut
from d2l_jax.data.text.windows import every_window as every_window
from d2l_jax.data.text.windows import random_windows as random_windows
from d2l_jax.data.text.windows import sequential_windows as sequential_windows
