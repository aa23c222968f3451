"""What a trained model is asked for at the end of a run, by the kind of data."""

from collections.abc import Callable

from d2l_jax.data import Dataset
from d2l_jax.runs.masked_words import write_guesses
from d2l_jax.runs.pair_labels import write_labels
from d2l_jax.runs.recommended import write_clicks, write_ranks, write_ratings, write_rows
from d2l_jax.runs.texts import Texts, Trained
from d2l_jax.runs.words import write_neighbours

WRITERS: dict[str, Callable[[Dataset, Trained], Texts]] = {
    "masked": write_guesses,
    "words": write_neighbours,
    "labelled_pairs": write_labels,
    "ratings": write_ratings,
    "item_rows": write_rows,
    "ranking": write_ranks,
    "clicks": write_clicks,
}
