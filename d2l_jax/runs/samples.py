"""What a trained model is asked for at the end of a run, by the kind of data."""

from collections.abc import Callable

from d2l_jax.case import Case
from d2l_jax.data import Dataset
from d2l_jax.runs.boxes import Sightings, sightings
from d2l_jax.runs.learner import Learner
from d2l_jax.runs.masked_words import write_guesses
from d2l_jax.runs.pair_labels import write_labels
from d2l_jax.runs.plot import Predictions
from d2l_jax.runs.recommended import write_clicks, write_ranks, write_ratings, write_rows
from d2l_jax.runs.segments import SHOWN as SEGMENTS
from d2l_jax.runs.sentences import SENTENCES, predicted
from d2l_jax.runs.texts import Texts, Trained, write_texts
from d2l_jax.runs.words import write_neighbours

SHOWN = 100  # test examples in the pictures
WRITERS: dict[str, Callable[[Dataset, Trained], Texts]] = {
    "masked": write_guesses,
    "words": write_neighbours,
    "labelled_pairs": write_labels,
    "ratings": write_ratings,
    "item_rows": write_rows,
    "ranking": write_ranks,
    "clicks": write_clicks,
}


def sample_of(case: Case, data: Dataset, learner: Learner) -> Predictions | Texts | Sightings:
    """Returns (true values, outputs) of some test examples; or what the model writes, or sees in pictures."""
    if "perplexity" in case.metrics:
        return write_texts(data, learner.trained())
    if write := WRITERS.get(data.kind):
        return write(data, learner.trained())
    X, y = data.test
    if "bbox_mae" in case.metrics:
        return Sightings(X[:SHOWN], y[:SHOWN], sightings(learner.trained(), X[:SHOWN]))
    if data.kind in SENTENCES:
        return predicted(data, learner.predict)
    shown = SEGMENTS if data.kind == "segmentation" else SHOWN
    return y[:shown], learner.predict(X[:shown])
