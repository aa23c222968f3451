"""Which kind of data each known set is, and which embedded set stands in for it."""

from d2l_jax.data.find.ratings import RATING_KINDS, RATING_STAND_INS
from d2l_jax.data.find.words import HELP_SETS, PTB_SETS
from d2l_jax.data.find.words import STAND_INS as WORD_STAND_INS

EMBEDDED = {
    "image": "digits",
    "tabular": "diabetes",
    "text": "topics",
    "translation": "number_words",
    "segmentation": "scenes",
    "boxes": "drawn_bananas",
    "reviews": "drawn_reviews",
    "inference": "drawn_pairs",
    "masked": "topic_pairs",
    "words": "help_words",
    "labelled_pairs": "drawn_pairs_bert",
    "ratings": "drawn_ratings",
    "item_rows": "drawn_ratings_items",
    "ranking": "drawn_ratings_ranking",
    "clicks": "drawn_clicks",
}
PHOTOS = {"cifar10": "shapes", "cifar10_tiny": "shapes", "hotdog": "two_shapes", "dogs": "shapes"}
STAND_INS = (
    PHOTOS
    | WORD_STAND_INS
    | RATING_STAND_INS
    | {
        "airfoil": "drawn_airfoil",
        "imdb_corrected": "drawn_reviews_corrected",
        "snli_corrected": "drawn_pairs_corrected",
        "wikitext2_dynamic": "topic_pairs_dynamic",
    }
)
NOT_TABLES = {
    **dict.fromkeys([*PHOTOS, *PHOTOS.values()], "image"),
    "mnist": "image",
    "fashion_mnist": "image",
    "digits": "image",
    "time_machine": "text",
    "topics": "text",
    "fra_eng": "translation",
    "number_words": "translation",
    "voc2012": "segmentation",
    "voc2012_corrected": "segmentation",
    "camvid": "segmentation",
    "scenes": "segmentation",
    "photos": "pictures",
    "sprites": "sprites",
    "bananas": "boxes",
    "drawn_bananas": "boxes",
    **dict.fromkeys(["imdb", "imdb_corrected", "drawn_reviews", "drawn_reviews_corrected"], "reviews"),
    **dict.fromkeys(["snli", "snli_corrected", "drawn_pairs", "drawn_pairs_corrected"], "inference"),
    **dict.fromkeys(["wikitext2", "wikitext2_dynamic", "topic_pairs", "topic_pairs_dynamic"], "masked"),
    **dict.fromkeys([*PTB_SETS, *HELP_SETS], "words"),
    **dict.fromkeys(["snli_bert", "drawn_pairs_bert"], "labelled_pairs"),
    **RATING_KINDS,
}


def kind_of(name: str) -> str:
    """Returns the kind of a known data set, one of those in `EMBEDDED`, or "pictures" or "sprites"."""
    return NOT_TABLES.get(name, "tabular")


def stand_in(name: str) -> str:
    """Returns the embedded set that takes the place of a known one: drawn shapes for photographs in colour."""
    return STAND_INS.get(name) or EMBEDDED[kind_of(name)]
