"""Texts grouped by length: a batch is padded to the least of a few widths, and each of these is compiled once."""

from dataclasses import replace

import numpy as np

from d2l_jax.data.dataset import Dataset, Split
from d2l_jax.data.text.reviews import KIND as REVIEWS
from d2l_jax.data.text.snli import KIND as INFERENCE
from d2l_jax.data.text.translation import PAD
from d2l_jax.errors import InputError

PADDED = (REVIEWS, INFERENCE, "labelled_pairs")


def bucketed(data: Dataset, buckets: int) -> Dataset:
    """Returns the data set with the width that each text needs, one of at most `buckets`: `Dataset.widths`.

    The widths are quantiles of the lengths to train on, so that each has as many texts, and the last one is all
    steps. A pair of sentences needs what the longer one does. Where a model reads padding, as those of the book do, it
    now reads less of it.

    Raises:
      InputError: `buckets` is below 1, or the data is no text that is padded.
    """
    if buckets < 1:
        raise InputError(f"--buckets {buckets} is too small; give 1 or more")
    if data.form not in PADDED:
        raise InputError(f"{data.name} has no padded texts; leave --buckets out")
    padding = data.vocabs[0][PAD]
    lengths, held_out = (_lengths(split, padding) for split in (data.train, data.test))
    steps = _texts(data.train)[0].shape[1]
    shares = np.arange(1, buckets) / buckets
    widths = np.unique([*np.quantile(lengths, shares, method="higher"), steps]).astype(np.int32)
    needed, needed_to_test = (widths[np.searchsorted(widths, each)] for each in (lengths, held_out))
    return replace(data, widths=(needed, needed_to_test))


def _lengths(split: Split, padding: int) -> np.ndarray:
    """Returns the steps before the padding at the end, of the longest text of each example; 1 at least."""
    steps = 1 + np.arange(_texts(split)[0].shape[1], dtype=np.int32)
    return np.max([np.where(words != padding, steps, 1).max(1) for words in _texts(split)], axis=0)


def _texts(split: Split) -> tuple[np.ndarray, ...]:
    """Returns the words of the examples; those of BERT are followed by segments, which have another padding."""
    X = split[0]
    return (X,) if not isinstance(X, tuple) else X[:1] if len(X) == 3 else X
