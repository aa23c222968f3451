"""Data sets that need no file: drawn, or shipped with a package."""

from collections.abc import Callable
from functools import partial

from d2l_jax.data.dataset import Dataset
from d2l_jax.data.drawn.bananas import bananas
from d2l_jax.data.drawn.sequence import noisy_sine
from d2l_jax.data.drawn.shapes import shapes
from d2l_jax.data.drawn.synthetic import ohms_law, synthetic_regression, weight_decay_data
from d2l_jax.data.find.ratings import DRAWN_RATINGS, drawn
from d2l_jax.data.find.words import HELP_SETS, help_words
from d2l_jax.data.images.digits import digits
from d2l_jax.data.ratings.clicks import drawn_clicks
from d2l_jax.data.tables.airfoil import drawn_airfoil
from d2l_jax.data.tables.diabetes import diabetes
from d2l_jax.data.text.bert_pairs import for_bert
from d2l_jax.data.text.drawn_sentences import drawn_pairs, drawn_reviews
from d2l_jax.data.text.number_words import number_words
from d2l_jax.data.text.pretraining import topic_pairs
from d2l_jax.data.text.topics import topics

# Name -> (seed -> the data set).
BUILT_IN: dict[str, Callable[[int], Dataset]] = {
    "digits": lambda seed: digits(),
    "diabetes": lambda seed: diabetes(),
    "topics": lambda seed: topics(),
    "number_words": lambda seed: number_words(),
    "drawn_reviews": lambda seed: drawn_reviews(seed=seed),
    "drawn_reviews_corrected": lambda seed: drawn_reviews(seed=seed, corrected=True),
    "drawn_pairs": lambda seed: drawn_pairs(seed=seed),
    "drawn_pairs_corrected": lambda seed: drawn_pairs(seed=seed, corrected=True),
    "drawn_pairs_bert": lambda seed: for_bert(drawn_pairs(seed=seed, corrected=True), "drawn_pairs_bert", 24),
    "topic_pairs": lambda seed: topic_pairs(),
    "topic_pairs_dynamic": lambda seed: topic_pairs(dynamic=True),
    "synthetic": lambda seed: synthetic_regression([2, -3.4], 4.2, seed=seed),
    "weight_decay": lambda seed: weight_decay_data(seed=seed),
    "ohms_law": lambda seed: ohms_law(seed=seed),
    "noisy_sine": lambda seed: noisy_sine(seed=seed),
    "drawn_airfoil": lambda seed: drawn_airfoil(seed),
    "shapes": lambda seed: shapes(seed=seed),
    "two_shapes": lambda seed: shapes(2, 240, 80, seed=seed),
    "drawn_bananas": lambda seed: bananas(seed=seed),
    **{name: partial(help_words, name=name) for name in HELP_SETS},
    "drawn_clicks": drawn_clicks,
    **{name: partial(drawn, name=name) for name in DRAWN_RATINGS},
}
